"""Run a trained network on arrays: with torch, or from an exported file without it."""
