"""Read image files into arrays in [0, 1], resize them, and write and read float maps."""
