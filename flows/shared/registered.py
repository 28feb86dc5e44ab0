"""The registry that a command uses."""

import os
from pathlib import Path

import mlflow

from stillhouse.errors import BadInput
from stillhouse.params import load_params
from stillhouse.serving.classifier import Classifier
from stillhouse.tracking.address import tracking_uri
from stillhouse.tracking.registry import Version, fetch_model, version_of
from stillhouse.tracking.store import connect

PARAMS = Path("params.yaml")


def connect_registry(name: str) -> str:
    """Connect to the registry. Return the model's name: ``name``, or that of params.yaml if it is empty.

    Raises:
        BadInput: there is no params.yaml, and the arguments and the environment do not name model and registry.
    """
    if PARAMS.is_file():
        params = load_params()
        connect(params.tracking.experiment)
        return name or params.model_name
    if not name or not os.environ.get("MLFLOW_TRACKING_URI"):
        raise BadInput(
            f"There is no {PARAMS} in {Path.cwd()}. Run this in a project's folder, or name a model with --model and "
            "its registry with MLFLOW_TRACKING_URI."
        )
    mlflow.set_tracking_uri(tracking_uri())
    return name


def registered(name: str, alias: str) -> tuple[str, Version]:
    """Connect to the registry. Return the model's name (:func:`connect_registry`), and the version with this alias.

    Raises:
        BadInput: there is no such version.
    """
    name = connect_registry(name)
    version = version_of(name, alias)
    if version is None:
        raise BadInput(
            f"The registry has no model {name!r} with the alias @{alias}. Run `make run` to register one, or name "
            "another with --model and --alias."
        )
    return name, version


def load_version(version: Version, folder: Path, threads: int | None = None) -> tuple[Path, Classifier]:
    """Fetch the files of a version into ``folder``. Return their place, and the model with ``threads`` threads.

    Raises:
        BadInput: the version cannot be used.
    """
    try:
        model = fetch_model(version, folder)
        return model, Classifier.load(model, threads)
    except (FileNotFoundError, ValueError) as error:
        raise BadInput(f"{version.name} version {version.number} cannot be used: {error}") from None
