"""Read the files that detectors store their maps in, at the size of the images."""
