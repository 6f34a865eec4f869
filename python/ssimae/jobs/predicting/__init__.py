"""Inspect images one by one: where they come from, and what is written of each."""
