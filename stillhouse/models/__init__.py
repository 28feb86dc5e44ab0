"""Students, the teacher, and how their weights start."""
