"""Estimate which defects a model finds: the probability of detection over size, from planted defects."""
