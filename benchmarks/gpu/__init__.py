"""``python -m benchmarks.gpu`` (``make gpu``): what a GPU is worth to every part of the pipeline, in eight minutes."""
