"""Judge the decisions of a detector at its own threshold: pixels it marks, and verdicts on whole images."""
