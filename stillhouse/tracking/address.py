"""The address of the tracking store, and the download of a registered model.

This module imports no other part of the project, so that a machine that only predicts can use it.
"""

import os
from pathlib import Path


def tracking_uri() -> str:
    """``MLFLOW_TRACKING_URI`` if it is set, else the absolute path of the project's own database."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{Path('mlflow.db').resolve()}"


def download_model(uri: str) -> Path:
    """Download the registered version ``uri``, such as ``models:/name@champion``.

    Returns:
        The folder with the files that the stage ``compress`` wrote.

    Raises:
        MlflowException: there is no such version, or the store does not answer.
    """
    from mlflow.artifacts import download_artifacts  # loading MLflow takes seconds; most callers need the address only

    return Path(download_artifacts(artifact_uri=uri, tracking_uri=tracking_uri())) / "artifacts" / "model"
