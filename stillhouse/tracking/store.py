"""The connection to the tracking store, which has the runs and the registered models.

Without ``MLFLOW_TRACKING_URI`` it is ``mlflow.db`` and ``mlartifacts/`` in the project's folder, and no server is
needed.
"""

import logging
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
from stillhouse.tracking.environment import SHORT_TIMEOUTS, environment

for _name in ("alembic", "mlflow.store.db.utils", "mlflow.models.signature", "mlflow.pyfunc"):
    logging.getLogger(_name).setLevel(logging.WARNING)  # they log internal details at each start

EXPERIMENT_KIND = "mlflow.experimentKind"  # tag by which the UI opens on training runs instead of traces
REFUSALS = (  # error codes of requests that would be refused again
    "BAD_REQUEST",
    "ENDPOINT_NOT_FOUND",
    "INVALID_PARAMETER_VALUE",
    "INVALID_STATE",
    "MALFORMED_REQUEST",
    "RESOURCE_ALREADY_EXISTS",
    "RESOURCE_DOES_NOT_EXIST",
)
DAMAGED = ("malformed", "not a database")  # parts of SQLite's messages for a damaged file


def connect(experiment: str) -> str:
    """Connect to the tracking store and select the experiment. Either is created if it does not exist.

    Returns:
        The experiment's id.

    Raises:
        Unavailable: the store does not answer.
        BadInput: the experiment was deleted in the UI, the database is damaged, or the project was moved.
    """
    uri = tracking_uri()
    mlflow.set_tracking_uri(uri)
    local = uri.startswith("sqlite:")
    Path(".stillhouse").mkdir(exist_ok=True)
    try:
        # The lock: two processes that migrate a new database at the same time would corrupt it.
        timeouts = {} if local else SHORT_TIMEOUTS
        with FileLock(".stillhouse/mlflow.lock"), environment(timeouts):
            found = mlflow.get_experiment_by_name(experiment)
            if found is None:
                artifacts = Path("mlartifacts").resolve().as_uri() if local else None
                tags = {EXPERIMENT_KIND: "custom_model_development"}
                return str(mlflow.create_experiment(experiment, artifacts, tags))
    except Exception as error:  # stores of different kinds raise different errors
        if any(part in str(error) for part in DAMAGED):
            raise BadInput(
                f"The database of MLflow, {masked(uri)}, is damaged. Restore it from a backup, or move it away: the "
                "next run creates an empty one, without the models and runs that were in it."
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


def run_page(experiment: str, run_id: str) -> str:
    """The path of a run's page in MLflow's UI, with the menu for the training of models instead of that for agents."""
    return f"/#/experiments/{connect(experiment)}/runs/{run_id}?workflowType=machine_learning"


def _check_place(location: str) -> None:
    """Raise BadInput if the project was moved: MLflow stores absolute paths of the files of runs and models."""
    place = Path(unquote(urlparse(location).path))
    if location.startswith("file:") and not place.parent.exists():
        raise BadInput(
            f"This project was moved. mlflow.db has the path {place} for the files of all runs and models. Create a "
            f"link at that path (mkdir -p {place.parent.parent}; ln -s {Path.cwd()} {place.parent}), or move mlflow.db "
            "and mlartifacts away: the next run creates empty ones, without the models and runs that were in them."
        )


def is_refusal(error: MlflowException) -> bool:
    """Whether the store refused the request and would refuse it again."""
    return error.error_code in REFUSALS


@contextmanager
def raising_unavailable() -> Iterator[None]:
    """Within the block, raise :class:`Unavailable` with the store's address if the store does not answer."""
    try:
        yield
    except (MlflowException, RequestException) as error:
        if isinstance(error, MlflowException) and is_refusal(error):
            raise
        reason = masked(" ".join(str(error).split()))[:200]
        raise Unavailable(f"The MLflow tracking store {masked(tracking_uri())} does not answer ({reason}).") from None
