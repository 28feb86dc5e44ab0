"""``python -m benchmarks.gpu`` (``make gpu``): measures every part of the pipeline on a GPU, in eight minutes."""
