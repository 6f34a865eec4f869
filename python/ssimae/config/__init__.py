"""Define the settings of a run, the named presets, and the systems of the paper."""
