"""Sum up the metrics of detectors over several data sets, such as the categories of a benchmark."""
