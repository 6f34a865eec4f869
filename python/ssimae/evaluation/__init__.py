"""Evaluate maps of scores against masks: metrics, curves, parts, and comparisons of detectors."""
