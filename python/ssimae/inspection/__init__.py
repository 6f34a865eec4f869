"""Turn an image into its residual map, and the map into a verdict."""
