"""Teach a finished run that some images are good: a short training from its networks, and what it changed."""
