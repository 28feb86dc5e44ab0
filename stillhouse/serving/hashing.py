"""The numbers of the wide branch that training and serving share. A registered model carries a copy of this file."""

MULTIPLIER = 31_337  # of the first piece of a pair in its hash: odd, and larger than a usual vocabulary
SMALLEST = 1e-6  # is added to a sum of squares before it divides
