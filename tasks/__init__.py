"""One module a stage: what it does. ``dvc.yaml`` says what it depends on, ``flows/`` say when it runs."""

import os

# Before PyTorch is loaded: its threads (libgomp's) spin while they wait, by default so long that of two trainings on
# the same two cores each takes 36 times as long as alone. So short it is three times, and alone nothing is lost.
os.environ.setdefault("GOMP_SPINCOUNT", "10000")
