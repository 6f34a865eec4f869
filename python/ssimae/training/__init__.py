"""From random crops to trained weights."""
