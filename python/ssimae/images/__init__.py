"""Image files to arrays in [0, 1] and back."""
