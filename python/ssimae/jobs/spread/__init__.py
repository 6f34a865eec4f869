"""Spread work over processes and machines."""
