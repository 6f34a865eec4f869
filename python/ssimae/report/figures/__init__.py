"""Draw the figures of a report: curves, trainings and scores; and shrink images and maps."""
