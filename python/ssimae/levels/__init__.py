"""Levels of maps: what a region is, and from which level on a map shows none."""
