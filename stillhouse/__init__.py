"""Stillhouse: distil a large text classifier into a small, fast one.

The library knows nothing of Prefect, DVC or the order of the stages; see ``tasks/`` and ``flows/``.
"""
