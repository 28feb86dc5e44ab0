"""Stillhouse: distil a large text classifier into a small, fast one.

The library does not depend on Prefect; see ``tasks/`` and ``flows/``.
"""
