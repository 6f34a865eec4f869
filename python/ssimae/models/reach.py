"""Say how far the head sees and on which grid, without torch."""

STEP = 8
"""The network halves an image three times; origins of tiles at multiples of this see the same grid."""

REACH = 64
"""Pixels beyond which nothing reaches an output, a multiple of :data:`STEP`."""
