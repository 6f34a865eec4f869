"""What the gallery of a report shows: levels of maps, counts above each, and pictures of single images."""
