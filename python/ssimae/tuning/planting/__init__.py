"""Plant defects with known masks on good images."""
