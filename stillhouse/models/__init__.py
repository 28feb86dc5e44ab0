"""Students, the teacher, and their initial weights."""
