"""What is typed and printed: the only package that prints."""

from ssimae.cli.dispatch import main

__all__ = ["main"]
