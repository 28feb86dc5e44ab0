"""Finding runs in the tracking store."""

import time

from mlflow.entities import Run
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from stillhouse.errors import StillhouseError
from stillhouse.tracking.runs import DEVICE_TAG, OUTPUT_TAG, STAGE_TAG
from stillhouse.tracking.store import connect

RECENT = 100  # runs in which the last device of each stage is looked for


def find_run(experiment: str, stage: str, output_md5: str) -> str | None:
    """The id of the latest run of ``stage`` whose outputs have the digest ``output_md5``; None if there is none."""
    query = f"tags.`{STAGE_TAG}` = '{stage}' and tags.`{OUTPUT_TAG}` = '{output_md5}'"
    found = _latest(experiment, query)
    return str(found.info.run_id) if found else None


def last_flow(experiment: str) -> tuple[str, str, str] | None:
    """Name, status and start (local time) of the latest flow run; None if there is none."""
    found = _latest(experiment, "tags.`stillhouse.kind` = 'flow'")
    if found is None:
        return None
    info = found.info
    return info.run_name, info.status, time.strftime("%Y-%m-%d %H:%M", time.localtime(info.start_time / 1000))


def find_devices(experiment: str) -> dict[str, str]:
    """The device of the latest finished run of each stage that trains, by stage; empty if MLflow does not answer."""
    query = f"tags.`{DEVICE_TAG}` LIKE '%' and attributes.status = 'FINISHED'"
    try:
        runs = MlflowClient().search_runs([connect(experiment)], query, max_results=RECENT)
    except (StillhouseError, MlflowException):
        return {}
    return {run.data.tags[STAGE_TAG]: run.data.tags[DEVICE_TAG] for run in reversed(runs) if STAGE_TAG in run.data.tags}


def _latest(experiment: str, query: str) -> Run | None:
    experiment_id = connect(experiment)  # first, because its error messages are clearer than the client's
    found = MlflowClient().search_runs([experiment_id], query, max_results=1)
    return found[0] if found else None
