"""MLflow: the only place that talks to it (runs, the model registry, the file that is served)."""
