"""Open data folders: sort their images into good ones and those of the test, and pair them with their masks."""
