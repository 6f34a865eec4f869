"""Measure what a trained run costs and finds at other strides, and keep a model for each."""
