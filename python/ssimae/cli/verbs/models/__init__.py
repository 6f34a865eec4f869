"""Verbs about a finished model: what it is, and how it goes on after its training."""
