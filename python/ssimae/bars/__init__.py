"""Draw the progress of long work as bars, in terminals and in notebooks."""
