"""The small networks that learn from the teacher. ``architectures/`` has one file for each."""
