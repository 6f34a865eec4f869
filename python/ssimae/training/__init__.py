"""Train a network on random crops of good images."""
