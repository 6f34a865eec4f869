"""The losses of the autoencoders, a module each: what is trained on, and what an image differs by."""
