"""Metrics that some benchmarks ask for, exact as the others: AUPIMO, and sPRO of MVTec LOCO AD."""
