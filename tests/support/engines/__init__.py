"""Tests of engines that export/test_engines.py runs, some in a process of their own."""
