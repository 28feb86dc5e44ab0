"""MLflow runs: one for each flow run, and below it one for each stage that was not up to date."""

import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any

from mlflow.entities import Run as Found
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from stillhouse.errors import StillhouseError, Unavailable
from stillhouse.provenance import file_md5, git_commit, lock_md5
from stillhouse.secrets import masked, shareable
from stillhouse.tracking.address import tracking_uri
from stillhouse.tracking.journal import HOME, Journal, journal_home, send_remaining
from stillhouse.tracking.store import connect, environment

PARENT_RUN = "STILLHOUSE_PARENT_RUN"  # environment variable that a flow sets for its stages
FLOW_RUN = "STILLHOUSE_FLOW_RUN"
STAGE_TAG, OUTPUT_TAG = "stillhouse.stage", "stillhouse.output_md5"
DEVICE_TAG, PARENT_TAG = "stillhouse.device", "mlflow.parentRunId"
EVIDENCE = "made of"  # folder among a run's artifacts with dvc.lock and params.yaml


class Run:
    """An MLflow run in progress. What is logged is sent at once, or later if MLflow does not answer now."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    @property
    def id(self) -> str:
        """MLflow's id of the run.

        Raises:
            Unavailable: MLflow does not answer, so the run has no id yet.
        """
        self._journal.send()
        if run_id := self._journal.run_id:
            return run_id
        raise Unavailable(f"The MLflow tracking store {masked(tracking_uri())} does not answer.")

    def params(self, values: dict[str, Any]) -> None:
        """Log nested parameters under dotted names, without secrets."""
        self._journal.record("params", values={name: masked(str(value))[:6000] for name, value in _flatten(values)})

    def metrics(self, values: dict[str, Any], step: int | None = None) -> None:
        """Log the numbers of a nested dictionary under dotted names."""
        numbers = [(name, float(value)) for name, value in _flatten(values) if isinstance(value, int | float)]
        self._journal.record("metrics", points=[(name, value, step or 0) for name, value in numbers])

    def series(self, name: str, values: list[float], first_step: int) -> None:
        """Log one number for each of many steps."""
        self._journal.record(
            "metrics", points=[(name, value, first_step + index) for index, value in enumerate(values)]
        )

    def artifact(self, path: Path, folder: str | None = None) -> None:
        """Store a file with the run."""
        self._journal.record("artifact", path=str(path), folder=folder)

    def evidence(self) -> None:
        """Store ``dvc.lock`` and ``params.yaml`` (without secrets) with the run, so that it can be reproduced."""
        self.artifact(Path("dvc.lock"), EVIDENCE)
        with tempfile.TemporaryDirectory() as scratch:
            copy = Path(scratch) / "params.yaml"
            copy.write_text(shareable(Path("params.yaml").read_text(encoding="utf-8")), encoding="utf-8")
            self.artifact(copy, EVIDENCE)

    def dataset(self, path: Path, context: str) -> None:
        """Record that the run read the file ``path``, with the digest that DVC records for it."""
        self._journal.record("dataset", uri=str(path), name=path.stem, digest=file_md5(path), context=context)

    def describe(self, text: str) -> None:
        """Set the description (Markdown) that MLflow shows with the run."""
        self.tags({"mlflow.note.content": text})

    def tags(self, values: dict[str, str]) -> None:
        """Set tags, without secrets."""
        self._journal.record("tags", values={name: masked(value) for name, value in values.items()})


def _flatten(values: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        # A name may be a label with any characters. MLflow allows letters, digits, spaces and _-./: in names.
        name = prefix + "".join(c if c.isalnum() or c in "_-./ " else "_" for c in str(name))
        if isinstance(value, dict):
            yield from _flatten(value, f"{name}.")
        else:
            yield name, value


@contextmanager
def flow_run(experiment: str, name: str, flow_run_id: str) -> Iterator[Run]:
    """The parent run of a flow run; the stages started inside become its children.

    Raises:
        Unavailable: MLflow does not answer at the start.
    """
    tags = {"stillhouse.kind": "flow", "prefect.flow_run_id": flow_run_id}
    with _run(experiment, name, tags, may_wait=False) as run, _parent(run, {FLOW_RUN: flow_run_id}):
        yield run
        run.tags({"dvc.lock_md5": lock_md5()})


@contextmanager
def part_run(experiment: str, kind: str, name: str) -> Iterator[Run]:
    """A run of ``kind`` (``arm``, ``trial``) below a flow's; the stages started inside become its children."""
    with _run(experiment, name, {"stillhouse.kind": kind, **_parent_tags()}) as run, _parent(run, {}):
        yield run


@contextmanager
def stage_run(experiment: str, stage: str) -> Iterator[Run]:
    """The run of one stage: a child of the flow's run, or without a parent under a bare ``dvc repro``."""
    with _run(experiment, stage, {STAGE_TAG: stage, "stillhouse.kind": "stage", **_parent_tags()}) as run:
        yield run


def _parent_tags() -> dict[str, str]:
    parent = os.environ.get(PARENT_RUN)
    return {PARENT_TAG: parent, "prefect.flow_run_id": os.environ.get(FLOW_RUN, "")} if parent else {}


@contextmanager
def _parent(run: Run, more: dict[str, str]) -> Iterator[None]:
    """Within the block, the runs of started child processes become children of ``run``."""
    with environment({PARENT_RUN: run.id, HOME: str(journal_home()), **more}):
        yield


@contextmanager
def _run(experiment: str, name: str, tags: dict[str, str], may_wait: bool = True) -> Iterator[Run]:
    send_remaining()
    # If MLflow does not answer, a stage's entries wait in the journal. A damaged or deleted store raises BadInput.
    with suppress(Unavailable) if may_wait else nullcontext():
        connect(experiment)
    journal = Journal.begin(experiment, name, {**tags, "git.commit": git_commit(), "dvc.lock_md5": lock_md5()})
    status = "FAILED"
    try:
        yield Run(journal)
        status = "FINISHED"
    except BrokenPipeError:  # the process that started this one and read its output has ended: the run was stopped
        status = "KILLED"
        raise
    except Exception:
        raise
    except BaseException:  # such as Ctrl-C; send_remaining below ends the runs of stopped children
        status = "KILLED"
        raise
    finally:
        journal.close(status)
        if status != "FINISHED":
            send_remaining()


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


def last_device(experiment: str, stage: str) -> str | None:
    """The device of the latest finished run of ``stage``; None if it is not recorded or MLflow does not answer."""
    query = f"tags.`{STAGE_TAG}` = '{stage}' and attributes.status = 'FINISHED'"
    try:
        found = _latest(experiment, query)
    except (StillhouseError, MlflowException):
        return None
    tags: dict[str, str] = found.data.tags if found else {}
    return tags.get(DEVICE_TAG)


def _latest(experiment: str, query: str) -> Found | None:
    experiment_id = connect(experiment)  # first, because its error messages are clearer than the client's
    found = MlflowClient().search_runs([experiment_id], query, max_results=1)
    return found[0] if found else None
