"""Change the thresholds of a finished run, from the maps that it stored of held-out images."""
