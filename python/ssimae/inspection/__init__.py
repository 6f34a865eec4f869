"""From an image to its residual map and its verdict."""
