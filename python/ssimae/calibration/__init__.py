"""Learn what good images show place by place, and divide a residual by it."""
