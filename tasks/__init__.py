"""The stages, one module each. ``dvc.yaml`` lists their dependencies; ``flows/`` decides when they run."""

import os

# Set before PyTorch is loaded. Threads of libgomp spin while they wait. With the default spin count, each of two
# trainings on the same two cores takes 36 times as long as one alone. With this count it takes 3 times as long. One
# training alone is not slower.
os.environ.setdefault("GOMP_SPINCOUNT", "10000")
