"""Benchmarks: each compares within one run and prints a table; none asserts a time."""
