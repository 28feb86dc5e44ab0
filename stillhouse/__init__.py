"""Stillhouse: distil a large text classifier into a small, fast one.

The library knows nothing of Prefect and DVC; see ``tasks/`` and ``flows/``.
"""
