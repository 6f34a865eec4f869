"""The networks that learn a good surface: autoencoders, and the dictionary of features."""
