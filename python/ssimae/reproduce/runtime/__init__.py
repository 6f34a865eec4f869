"""Time each system beside a plain script."""
