"""The small networks that learn from the teacher. Each has a file in ``architectures/``."""
