"""Which images there are: folders, layouts, masks, checks, and the embedded textures."""
