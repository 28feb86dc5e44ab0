"""Benchmarks, which take longer than the tests: ``make bench``, ``make speed``, ``make gpu``."""
