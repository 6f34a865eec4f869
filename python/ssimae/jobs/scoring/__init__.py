"""Score stored maps of any detectors against a data set, or a folder of data sets, and write the results."""
