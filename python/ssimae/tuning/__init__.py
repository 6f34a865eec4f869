"""Choose settings from good images and defects planted on them, and say what will be found."""
