"""Data sets as tensors, for training loops of your own."""
