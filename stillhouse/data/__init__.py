"""Texts and labels: sources, cleaning, splits on disk, and the student's vocabulary."""
