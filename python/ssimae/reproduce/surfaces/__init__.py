"""Run every surface without flags and with presets, and hold what is said beforehand against real defects."""
