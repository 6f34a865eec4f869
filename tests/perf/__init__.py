"""Benchmarks, by what they time; `make bench` times them, the tests check their answers alone."""
