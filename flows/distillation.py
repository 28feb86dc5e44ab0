"""The flow ``distillation``: all stages from ``prepare`` to ``register``.

``stillhouse run`` runs it in this process, with Prefect's own ephemeral server unless ``PREFECT_API_URL`` names
another.
"""

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from flows.shared.environment import own_prefect_home

own_prefect_home()  # before the import of Prefect, which reads its settings at import

from prefect import flow, get_run_logger
from prefect.artifacts import create_markdown_artifact
from prefect.runtime import flow_run as runtime
from prefect.states import Failed, State

from flows.shared.changes import Changes, write_changes
from flows.shared.fleet import Fleet, run_fleet
from flows.shared.notify import notify, notify_failure
from flows.shared.owner import check_name
from flows.shared.push import push
from flows.shared.running import hold_project, run_flow
from flows.shared.stage_task import prefect_task
from flows.shared.stopping import command
from flows.shared.summary import Summary
from stillhouse.data.readers.layout import split_files
from stillhouse.errors import StillhouseError
from stillhouse.evaluation.cases import read_cases
from stillhouse.evaluation.classes import read_classes
from stillhouse.evaluation.evidence import COMPRESSED, TEACHER
from stillhouse.evaluation.quality import Quality, retention
from stillhouse.evaluation.results import brief, read_models, read_qualities
from stillhouse.params import Params, load_params
from stillhouse.pipeline.artefacts import path
from stillhouse.pipeline.inputs import locked_stages
from stillhouse.pipeline.links import link_inputs
from stillhouse.pipeline.room import check_disk_space
from stillhouse.pipeline.runner import Outcome, unchanged_stages
from stillhouse.pipeline.stages import CHAIN, STAGES
from stillhouse.pipeline.timed import evaluation_is_timed
from stillhouse.tracking.receipts import is_missing
from stillhouse.tracking.registry import PIPELINE, get_version
from stillhouse.tracking.runs import flow_run
from stillhouse.tracking.store import run_page


def _run_name() -> str:
    try:
        name = load_params().model_name
    except StillhouseError:  # the flow reports the error
        name = "distillation"
    return f"{name}-{time.strftime('%Y%m%d-%H%M%S')}"


NO_CHANGES = Changes()


@flow(
    name="distillation",
    flow_run_name=_run_name,
    validate_parameters=True,
    on_failure=[notify_failure],
    on_crashed=[notify_failure],
)
def distillation(changes: Changes = NO_CHANGES, refresh: bool = False) -> Summary | State[Any]:
    """Distil the teacher named in `params.yaml` into a registered student.

    Stages whose inputs did not change are not run again.

    Args:
        changes: Parameters to change. They are written to params.yaml. An empty field leaves its parameter unchanged.
        refresh: Fetch the data again even if nothing changed here, for a hub dataset that moves on.
    """
    try:
        with hold_project(load_params().flow):
            if written := write_changes(changes):
                shown = ", ".join(f"{key} = {value}" for key, value in written.items())
                get_run_logger().info("params.yaml changed: %s", shown)
            summary = _run_chain(load_params(), refresh)
    except StillhouseError as error:  # a user's mistake: a message, not a traceback
        return Failed(message=str(error))
    create_markdown_artifact(summary.markdown(), key="distillation-results", description="Models on the test set")
    return summary


def _run_chain(params: Params, refresh: bool) -> Summary:
    if params.data.source == "files":  # before DVC does, whose message about a missing file is less clear
        split_files(Path(params.data.path), params.data.unlabelled)
    read_cases(Path(params.evaluate.cases))
    link_inputs(params)
    check_disk_space()
    locked_stages()  # raises a helpful message if dvc.lock is damaged
    # Opening the parent run first shows before the training whether the tracking server answers.
    with flow_run(params.tracking.experiment, runtime.name or "distillation", runtime.id or "") as parent:
        parent.params(params.model_dump(by_alias=True, exclude={"flow", "schedule"}))
        outcomes: dict[str, Outcome] = {}
        seconds: dict[str, float] = {}
        unchanged_names = unchanged_stages([stage.name for stage in CHAIN])
        for stage in CHAIN:
            start = time.perf_counter()
            lost = stage.name == "register" and is_missing(path("register/receipt.json"), params.model_name)
            force = (stage.name == "prepare" and refresh) or lost
            outcome = prefect_task(stage, params)(force, known_unchanged=stage.name in unchanged_names)
            if stage.name == "prepare":
                check_name(params)
            if stage.name == "evaluate" and not evaluation_is_timed():
                outcome = prefect_task(stage, params)(True)
            unchanged_names = unchanged_names if outcome == "unchanged" else set()
            outcomes[stage.name] = outcome
            seconds[stage.name] = time.perf_counter() - start
        metrics = path("evaluate/metrics.json")
        models, qualities = read_models(metrics, path("evaluate/speed.json")), read_qualities(metrics)
        fleet = run_fleet(params, models, outcomes, seconds) if params.devices else None
        page = run_page(params.tracking.experiment, parent.id)
        summary = _summary(outcomes, seconds, qualities | models, fleet, page)
        student, teacher = summary.models[COMPRESSED], summary.models[TEACHER]
        # First, because MLflow shows the metrics in the order of their logging.
        parent.metrics(brief(student) | {"retention": retention(student, teacher)})
        parent.metrics({"test": {name: brief(model) for name, model in summary.models.items()}})
        parent.metrics({"seconds": seconds})
        for name in STAGES["evaluate"].beside:
            parent.artifact(path(f"evaluate/{name}"))
        parent.evidence()
        parent.dataset(path("train"), "train")
        parent.dataset(path("test"), "test")
        for file in fleet.files if fleet else []:
            parent.artifact(file, "fleet")
        parent.describe(summary.markdown())
        _notify(params, outcomes["register"] == "ran", summary)
        parent.tags({"stages.run": ", ".join(name for name, outcome in outcomes.items() if outcome == "ran") or "none"})
    return summary


def _notify(params: Params, registered: bool, summary: Summary) -> None:
    """Push the outputs of a new champion, send a message about a refused student, and send the heartbeat."""
    if PIPELINE.champion in summary.aliases:
        if registered and params.flow.push:
            push(params.flow.notify)
    elif registered:
        message = f"{summary.name} version {summary.version} did not pass its gate; the champion is unchanged"
        notify(params.flow.notify, f"{message}. The version's description gives the reasons. {summary.report}")
    notify(params.flow.heartbeat, f"{summary.name}: a run succeeded; version {summary.version} is the newest")


def _summary(
    outcomes: dict[str, Outcome],
    seconds: dict[str, float],
    models: Mapping[str, Quality],
    fleet: Fleet | None,
    page: str,
) -> Summary:
    receipt = json.loads(path("register/receipt.json").read_text(encoding="utf-8"))
    version = get_version(receipt["name"], receipt["version"])
    return Summary(
        report=str(path("evaluate/report.html").resolve()),
        name=receipt["name"],
        version=receipt["version"],
        aliases=list(version.aliases) if version else [],
        page=page,
        about=version.description if version else "",
        models=models,
        classes=read_classes(path("evaluate/classes.csv")),
        outcomes=outcomes,
        seconds=seconds,
        fleet=fleet,
    )


@command
def main() -> None:
    """Run the flow once and print its summary."""
    start = time.perf_counter()
    summary: Summary = run_flow(distillation)
    print(summary.text(time.perf_counter() - start))


if __name__ == "__main__":
    from flows.cli import main as start

    start("run")
