"""The small networks that are taught, one file each, and what they have in common."""
