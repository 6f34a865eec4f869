"""Draw the pictures of a report: curves, trainings, scores, and the previews of single images."""
