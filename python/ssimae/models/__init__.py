"""The networks that learn a good surface."""
