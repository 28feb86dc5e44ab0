"""Tracking in MLflow: runs and the model registry. No other package calls MLflow, except for the served model."""

import os

# MLflow reads these variables when it is imported. The modules of this package import it, so they are set here.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")  # a URL may contain a password
