"""Store what trainings of a reproduction reached, one JSON file each, and tabulate it."""
