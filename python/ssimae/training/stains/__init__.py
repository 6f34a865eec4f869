"""Stains painted over training crops: flat ellipses, or shapes that hold a texture."""
