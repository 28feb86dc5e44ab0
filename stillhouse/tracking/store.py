"""The tracking store: where runs and models are kept, and whether it answers.

Unless ``MLFLOW_TRACKING_URI`` says otherwise, they live in ``mlflow.db`` and ``mlartifacts/`` in the project's folder,
and no server is needed.
"""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote, urlparse

import mlflow
from filelock import FileLock
from mlflow.exceptions import MlflowException
from requests.exceptions import RequestException

from stillhouse.errors import BadInput, Unavailable
from stillhouse.secrets import masked
from stillhouse.tracking.address import tracking_uri

for _name in ("alembic", "mlflow.store.db.utils", "mlflow.models.signature"):
    logging.getLogger(_name).setLevel(logging.WARNING)  # their news on each start is no user's

EXPERIMENT_KIND = "mlflow.experimentKind"  # opens the UI on training runs instead of traces
SHORT_TIMEOUTS = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1", "MLFLOW_HTTP_REQUEST_TIMEOUT": "10"}
REFUSALS = (  # MLflow answers and will not have it, now or later
    "BAD_REQUEST",
    "ENDPOINT_NOT_FOUND",
    "INVALID_PARAMETER_VALUE",
    "INVALID_STATE",
    "MALFORMED_REQUEST",
    "RESOURCE_ALREADY_EXISTS",
    "RESOURCE_DOES_NOT_EXIST",
)
DAMAGED = ("malformed", "not a database")  # what SQLite says then


def connect(experiment: str) -> str:
    """Reach the tracking store and choose the experiment, creating either where it does not exist.

    Returns:
        The experiment's id.

    Raises:
        Unavailable: the store does not answer.
        BadInput: the experiment was deleted in the UI.
    """
    uri = tracking_uri()
    mlflow.set_tracking_uri(uri)
    local = uri.startswith("sqlite:")
    Path(".stillhouse").mkdir(exist_ok=True)
    try:
        # One process migrates a new database; two at once would corrupt it. A remote server is asked once
        # and briefly: MLflow's own patience is several minutes.
        patience = {} if local else SHORT_TIMEOUTS
        with FileLock(".stillhouse/mlflow.lock"), environment(patience):
            found = mlflow.get_experiment_by_name(experiment)
            if found is None:
                place = Path("mlartifacts").resolve().as_uri() if local else None
                return str(mlflow.create_experiment(experiment, place, {EXPERIMENT_KIND: "custom_model_development"}))
    except Exception as error:  # each kind of store has errors of its own
        if any(sign in str(error) for sign in DAMAGED):
            raise BadInput(
                f"The database of MLflow, {masked(uri)}, is damaged. Bring it back from a backup, or move it away: the "
                "next run begins an empty one, without the models and runs that were in it."
            ) from None
        raise Unavailable(
            f"The MLflow tracking store {masked(uri)} does not answer "
            f"({masked(' '.join(str(error).split()))[:200]}). Start it, correct MLFLOW_TRACKING_URI, or unset it "
            "to use mlflow.db in this folder."
        ) from None
    if found.lifecycle_stage == "deleted":
        raise BadInput(
            f"tracking.experiment: {experiment!r} was deleted in MLflow. Restore it (mlflow experiments restore "
            f"--experiment-id {found.experiment_id}), or choose another name."
        )
    if local:
        _check_place(found.artifact_location)
    return str(found.experiment_id)


def _check_place(location: str) -> None:
    """MLflow notes for each run and model where its files are, from the root of the file system on."""
    place = Path(unquote(urlparse(location).path))
    if location.startswith("file:") and not place.parent.exists():
        raise BadInput(
            f"This project was moved. mlflow.db says of every run and model that its files are below {place}. Make "
            f"that true again with a link (mkdir -p {place.parent.parent}; ln -s {Path.cwd()} {place.parent}), or move "
            "mlflow.db and mlartifacts away: the next run begins anew, without the models and runs that were in them."
        )


def is_refusal(error: MlflowException) -> bool:
    """Whether the store answered, and will say the same the next time."""
    return error.error_code in REFUSALS


@contextmanager
def raising_unavailable() -> Iterator[None]:
    """Within the block, a store that does not answer raises :class:`Unavailable`, with its address."""
    try:
        yield
    except (MlflowException, RequestException) as error:
        if isinstance(error, MlflowException) and is_refusal(error):
            raise
        told = masked(" ".join(str(error).split()))[:200]
        raise Unavailable(f"The MLflow tracking store {masked(tracking_uri())} does not answer ({told}).") from None


@contextmanager
def environment(values: dict[str, str]) -> Iterator[None]:
    """Environment variables for the time of a block."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})
