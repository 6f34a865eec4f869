"""Parse what is typed, do it, and print: the only package that prints."""

from ssimae.cli.dispatch import main

__all__ = ["main"]
