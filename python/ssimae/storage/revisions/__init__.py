"""What thresholds are changed by after a training: stored maps of held-out images, and versions of thresholds."""
