"""Runs: the parent of a flow run, and one for each stage that really ran."""

import json
import logging
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import mlflow
from mlflow.data.dataset_source_registry import get_dataset_source_from_json
from mlflow.data.meta_dataset import MetaDataset
from mlflow.entities import Metric, RunStatus
from mlflow.tracking import MlflowClient

from stillhouse.provenance import file_md5, git_commit, lock_md5
from stillhouse.secrets import masked
from stillhouse.tracking.store import BRIEFLY, connect, environment

PARENT_RUN = "STILLHOUSE_PARENT_RUN"  # set by a flow for the stages it starts
FLOW_RUN = "STILLHOUSE_FLOW_RUN"
STAGE_TAG, OUTPUT_TAG, PROCESS_TAG = "stillhouse.stage", "stillhouse.output_md5", "stillhouse.process"
DEVICE_TAG = "stillhouse.device"
logger = logging.getLogger(__name__)


class Run:
    """An MLflow run that is going on."""

    def __init__(self, run_id: str, client: MlflowClient) -> None:
        self.id = run_id
        self._client = client

    def params(self, values: dict[str, Any]) -> None:
        """Log nested parameters under dotted names."""
        flat = {name: str(value)[:6000] for name, value in _flatten(values)}
        for start in range(0, len(flat), 100):  # a server takes 100 at a time
            mlflow.log_params(dict(list(flat.items())[start : start + 100]), run_id=self.id)

    def metrics(self, values: dict[str, Any], step: int | None = None) -> None:
        """Log the numbers of a nested dictionary under dotted names."""
        numbers = {name: float(value) for name, value in _flatten(values) if isinstance(value, int | float)}
        mlflow.log_metrics(numbers, step=step, run_id=self.id)

    def series(self, name: str, values: list[float], first_step: int) -> None:
        """Log one number for each of many steps."""
        now = int(time.time() * 1000)
        points = [Metric(name, value, now, first_step + index) for index, value in enumerate(values)]
        for start in range(0, len(points), 1000):  # a server takes 1,000 at a time
            self._client.log_batch(self.id, points[start : start + 1000])

    def artifact(self, path: Path, folder: str | None = None) -> None:
        """Store a file with the run."""
        self._client.log_artifact(self.id, str(path), folder)

    def dataset(self, path: Path, context: str) -> None:
        """Record that the run read ``path``: its digest is the one DVC keeps for the same file."""
        dataset = MetaDataset(
            get_dataset_source_from_json(json.dumps({"uri": str(path)}), "local"), name=path.stem, digest=file_md5(path)
        )
        mlflow.log_input(dataset, context=context)

    def describe(self, text: str) -> None:
        """Set the description (Markdown) that MLflow shows with the run."""
        self.tags({"mlflow.note.content": text})

    def tags(self, values: dict[str, str]) -> None:
        """Set tags."""
        for name, value in values.items():
            self._client.set_tag(self.id, name, value)


def _flatten(values: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        # MLflow allows letters, digits, spaces and _-./: in names; labels may hold anything.
        name = prefix + "".join(c if c.isalnum() or c in "_-./ " else "_" for c in str(name))
        if isinstance(value, dict):
            yield from _flatten(value, f"{name}.")
        else:
            yield name, value


@contextmanager
def flow_run(experiment: str, name: str, flow_run_id: str) -> Iterator[Run]:
    """The parent run of a flow run; the stages started inside become its children."""
    tags = {"stillhouse.kind": "flow", "prefect.flow_run_id": flow_run_id}
    with _run(experiment, name, tags) as run, _parent(run, {FLOW_RUN: flow_run_id}):
        yield run
        run.tags({"dvc.lock_md5": lock_md5()})


@contextmanager
def part_run(experiment: str, kind: str, name: str) -> Iterator[Run]:
    """A run of ``kind`` (``arm``, ``trial``) within a flow's; stages started inside become its children."""
    with _run(experiment, name, {"stillhouse.kind": kind, **_parent_tags()}) as run, _parent(run, {}):
        yield run


@contextmanager
def stage_run(experiment: str, stage: str) -> Iterator[Run]:
    """The run of one stage: a child of the flow's run, or on its own under a bare ``dvc repro``."""
    with _run(experiment, stage, {STAGE_TAG: stage, "stillhouse.kind": "stage", **_parent_tags()}) as run:
        yield run


def _parent_tags() -> dict[str, str]:
    parent = os.environ.get(PARENT_RUN)
    return {"mlflow.parentRunId": parent, "prefect.flow_run_id": os.environ.get(FLOW_RUN, "")} if parent else {}


@contextmanager
def _parent(run: Run, more: dict[str, str]) -> Iterator[None]:
    """Child processes that are started inside belong to ``run``."""
    with environment({PARENT_RUN: run.id, **more}):
        yield


@contextmanager
def _run(experiment: str, name: str, tags: dict[str, str]) -> Iterator[Run]:
    experiment_id = connect(experiment)
    client = MlflowClient()
    _end_dead_runs(client, experiment_id)
    tags = {
        **tags,
        "git.commit": git_commit(),
        "dvc.lock_md5": lock_md5(),
        PROCESS_TAG: f"{socket.gethostname()}:{os.getpid()}",
    }
    active = mlflow.start_run(experiment_id=experiment_id, run_name=name, tags=tags, nested=True)
    status = RunStatus.FAILED
    try:
        yield Run(active.info.run_id, client)
        status = RunStatus.FINISHED
    except BrokenPipeError:  # who started this process and read what it says is gone: it is being stopped
        status = RunStatus.KILLED
        raise
    except Exception:
        raise
    except BaseException:  # Ctrl-C and its kin; what was started inside may have had no time to say so
        status = RunStatus.KILLED
        with suppress(Exception), environment(BRIEFLY):
            _end_dead_runs(client, experiment_id)
        raise
    finally:
        _end_run(status)


def _end_run(status: int) -> None:
    """End the active run; where it has failed anyway, a store that is gone by now is not waited for."""
    if status == RunStatus.FINISHED:
        mlflow.end_run(RunStatus.to_string(status))
        return
    try:
        with environment(BRIEFLY):
            mlflow.end_run(RunStatus.to_string(status))
    except Exception as error:  # each kind of store has errors of its own; what went wrong before is what is told
        logger.warning("the tracking store does not answer any more: %s", masked(str(error))[:200])


def _end_dead_runs(client: MlflowClient, experiment_id: str) -> None:
    """A killed process cannot end its run: do it for those of this machine whose process is gone."""
    host = socket.gethostname()
    for run in client.search_runs([experiment_id], "attributes.status = 'RUNNING'"):
        machine, _, process = run.data.tags.get(PROCESS_TAG, "").rpartition(":")
        if machine == host and not _alive(int(process)):
            client.set_terminated(run.info.run_id, RunStatus.to_string(RunStatus.KILLED))


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # somebody else's, so it is there
        return True
    return True


def find_run(experiment: str, stage: str, output_md5: str) -> str | None:
    """The id of the latest finished run of ``stage`` that wrote these very outputs."""
    query = f"tags.`{STAGE_TAG}` = '{stage}' and tags.`{OUTPUT_TAG}` = '{output_md5}'"
    found = MlflowClient().search_runs([connect(experiment)], query, max_results=1)
    return str(found[0].info.run_id) if found else None


def last_device(experiment: str, stage: str) -> str | None:
    """What the latest finished run of ``stage`` was trained on, if it said so."""
    query = f"tags.`{STAGE_TAG}` = '{stage}' and attributes.status = 'FINISHED'"
    found = MlflowClient().search_runs([connect(experiment)], query, max_results=1)
    tags: dict[str, str] = found[0].data.tags if found else {}
    return tags.get(DEVICE_TAG)
