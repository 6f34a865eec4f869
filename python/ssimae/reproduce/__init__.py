"""Reproduce the results of Bergmann et al. 2019."""
