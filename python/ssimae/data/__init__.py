"""Find out which images there are: data folders, layouts, masks, their check, and the embedded textures."""
