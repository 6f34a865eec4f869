"""From a run folder to its page."""
