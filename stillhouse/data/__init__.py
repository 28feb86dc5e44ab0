"""Texts and labels: sources, cleaning, splits on disk, the student's vocabulary."""
