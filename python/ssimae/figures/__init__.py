"""Draw what was found, for reports, files and notebooks."""
