"""MLflow runs: one for each flow run, and below it one for each stage that was not up to date."""

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any

from stillhouse.errors import Unavailable
from stillhouse.provenance import file_md5, git_commit, lock_md5
from stillhouse.secrets import masked, shareable
from stillhouse.tracking.address import tracking_uri
from stillhouse.tracking.environment import environment
from stillhouse.tracking.journal import DELEGATED, HOME, Journal, journal_home
from stillhouse.tracking.remaining import send_remaining

PARENT_RUN = "STILLHOUSE_PARENT_RUN"  # environment variable that a flow sets for its stages
FLOW_RUN = "STILLHOUSE_FLOW_RUN"
LAST_DEVICES = "STILLHOUSE_LAST_DEVICES"  # set by a flow, so that its stages need not ask MLflow
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
    with _run(experiment, name, tags, may_wait=False) as run:
        devices = json.dumps(last_devices(experiment))
        with _parent(run, {FLOW_RUN: flow_run_id, LAST_DEVICES: devices}):
            yield run
        run.tags({"dvc.lock_md5": lock_md5()})


@contextmanager
def part_run(experiment: str, kind: str, name: str) -> Iterator[Run]:
    """A run of ``kind`` (``arm``, ``trial``) below a flow's; the stages started inside become its children."""
    with _run(experiment, name, {"stillhouse.kind": kind, **_parent_tags()}) as run, _parent(run, {}):
        yield run


@contextmanager
def stage_run(experiment: str, stage: str, delegate: bool = True) -> Iterator[Run]:
    """The run of one stage: a child of the flow's run, or without a parent under a bare ``dvc repro``.

    Args:
        experiment: the name of the experiment.
        stage: the name of the stage.
        delegate: let the flow that started this process send what is logged, if there is one.
    """
    tags = {STAGE_TAG: stage, "stillhouse.kind": "stage", **_parent_tags()}
    with _run(experiment, stage, tags, delegated=delegate and DELEGATED in os.environ) as run:
        yield run


def last_devices(experiment: str) -> dict[str, str]:
    """The device of the latest finished run of each stage that trains, by stage; empty if MLflow does not answer."""
    if LAST_DEVICES in os.environ:
        found: dict[str, str] = json.loads(os.environ[LAST_DEVICES])
        return found
    from stillhouse.tracking.search import find_devices  # loading MLflow takes seconds

    return find_devices(experiment)


def _parent_tags() -> dict[str, str]:
    parent = os.environ.get(PARENT_RUN)
    return {PARENT_TAG: parent, "prefect.flow_run_id": os.environ.get(FLOW_RUN, "")} if parent else {}


@contextmanager
def _parent(run: Run, more: dict[str, str]) -> Iterator[None]:
    """Within the block, the runs of started child processes become children of ``run``."""
    with environment({PARENT_RUN: run.id, HOME: str(journal_home()), **more}):
        yield


@contextmanager
def _run(
    experiment: str, name: str, tags: dict[str, str], may_wait: bool = True, delegated: bool = False
) -> Iterator[Run]:
    if not delegated:
        _prepare_store(experiment, may_wait)
    tags = {**tags, "git.commit": git_commit(), "dvc.lock_md5": lock_md5()}
    journal = Journal.begin(experiment, name, tags, delegated)
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
        if status != "FINISHED" and not delegated:
            send_remaining()


def _prepare_store(experiment: str, may_wait: bool) -> None:
    from stillhouse.tracking.store import connect  # loading MLflow takes seconds, and a stage of a flow needs none

    send_remaining()
    # If MLflow does not answer, a stage's entries wait in the journal. A damaged or deleted store raises BadInput.
    with suppress(Unavailable) if may_wait else nullcontext():
        connect(experiment)
