"""From maps and masks to exact metrics."""
