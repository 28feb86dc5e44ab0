"""Fetch the model that a command names: a folder, or a registered version."""

from pathlib import Path

from stillhouse.errors import BadInput
from stillhouse.serving.classifier import Classifier
from stillhouse.tracking.address import download_model


def fetch(model: str) -> tuple[Path, Classifier]:
    """Return the folder of the model and the loaded model.

    Args:
        model: a folder of a model, or a registered version such as ``models:/name@champion``.

    Raises:
        BadInput: there is no such model, or it is damaged.
    """
    try:
        folder = download_model(model) if model.startswith("models:/") else Path(model).resolve()
        return folder, Classifier.load(folder)
    except Exception as error:  # the file system, onnxruntime and MLflow raise errors of different types
        raise BadInput(f"{model} cannot be used: {str(error)[:500]}") from None
