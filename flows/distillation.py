"""The flow ``distillation``: prepare -> control -> teacher -> soften -> student -> compress -> evaluate -> register.

``python -m flows.distillation`` runs it here and now, with Prefect's own ephemeral server unless
``PREFECT_API_URL`` names another.
"""

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from flows.shared.environment import own_prefect_home

own_prefect_home()  # before Prefect is imported: it reads its settings then

from prefect import flow, get_run_logger
from prefect.artifacts import create_markdown_artifact
from prefect.runtime import flow_run as runtime
from prefect.states import Failed, State

from flows.shared.changes import Changes, write_changes
from flows.shared.fleet import run_fleet
from flows.shared.running import run_flow, turn
from flows.shared.stopping import command
from stillhouse.chain import CHAIN, OUTPUTS
from stillhouse.data.layout import split_files
from stillhouse.errors import StillhouseError
from stillhouse.evaluation.report import as_markdown, as_text, table
from stillhouse.params import Params, load_params
from stillhouse.tracking.registry import get_version, is_lost
from stillhouse.tracking.runs import flow_run, tracking_uri
from tasks.shared.runner import Outcome, prefect_task
from tasks.shared.timed import EVALUATED, evaluation_is_timed


def _run_name() -> str:
    try:
        name = load_params().register_.name
    except StillhouseError:  # the flow itself will say it
        name = "distillation"
    return f"{name}-{time.strftime('%Y%m%d-%H%M%S')}"


NO_CHANGES = Changes()


@flow(name="distillation", flow_run_name=_run_name, validate_parameters=True)
def distillation(changes: Changes = NO_CHANGES, refresh: bool = False) -> dict[str, Any] | State[Any]:
    """Distil the teacher named in `params.yaml` into a registered student.

    Stages whose inputs did not change are not run again.

    Args:
        changes: Parameters to change. They are written to params.yaml; leave empty what shall stay.
        refresh: Fetch the data again even if nothing changed here, for a hub dataset that moves on.
    """
    try:
        with turn(load_params().flow):
            if written := write_changes(changes):
                told = ", ".join(f"{key} = {value}" for key, value in written.items())
                get_run_logger().info("params.yaml changed: %s", told)
            summary = _run_chain(load_params(), refresh)
    except StillhouseError as error:  # the user's to mend: a message, not a traceback
        return Failed(message=str(error))
    create_markdown_artifact(_markdown(summary), key="distillation-results", description="Models on the test set")
    return summary


def _run_chain(params: Params, refresh: bool) -> dict[str, Any]:

    if params.data.source == "files":  # DVC would refuse a missing one in words of its own
        split_files(Path(params.data.path), params.data.unlabelled)
    # Opening the parent run also finds out now, not after the training, that tracking does not answer.
    with flow_run(params.tracking.experiment, runtime.name or "distillation", runtime.id or "") as parent:
        parent.params(params.model_dump(by_alias=True, exclude={"flow", "schedule"}))
        outcomes: dict[str, Outcome] = {}
        seconds: dict[str, float] = {}
        for stage in CHAIN:
            start = time.perf_counter()
            lost = stage.name == "register" and is_lost(stage.folder / "receipt.json")
            force = (stage.name == "prepare" and refresh) or lost
            outcome = prefect_task(stage, params.flow)(force)
            if stage.name == "evaluate" and not evaluation_is_timed(stage.folder):
                outcome = prefect_task(stage, params.flow)(True)
            outcomes[stage.name] = outcome
            seconds[stage.name] = time.perf_counter() - start
        models = _models()
        fleet = run_fleet(params, models, outcomes, seconds) if params.devices else None
        summary = _summary(models, outcomes, seconds, fleet)
        parent.metrics({"seconds": seconds})
        parent.metrics({"test": {name: _numbers(model) for name, model in summary["models"].items()}})
        for name in EVALUATED:
            parent.artifact(OUTPUTS / "evaluate" / name)
        for file in fleet["files"] if fleet else []:
            parent.artifact(file, "fleet")
        parent.describe(_markdown(summary))
        parent.tags({"stages.run": ", ".join(name for name, outcome in outcomes.items() if outcome == "ran") or "none"})
    return summary


def _models() -> dict[str, Any]:
    """Every model's quality and speed."""
    speed = _read("evaluate", "speed.json")["models"]
    return {name: model | speed[name] for name, model in _read("evaluate", "metrics.json")["models"].items()}


def _summary(
    models: dict[str, Any], outcomes: dict[str, Outcome], seconds: dict[str, float], fleet: dict[str, Any] | None
) -> dict[str, Any]:

    receipt = _read("register", "receipt.json")
    version = get_version(receipt["name"], receipt["version"])
    return {
        "report": str((OUTPUTS / "evaluate" / "report.html").resolve()),
        "name": receipt["name"],
        "version": receipt["version"],
        "aliases": list(version.aliases) if version else [],
        "models": models,
        "outcomes": outcomes,
        "seconds": seconds,
        "fleet": fleet,
    }


def _numbers(model: dict[str, float]) -> dict[str, float]:
    return {key: model[key] for key in ("accuracy", "macro_f1", "megabytes", "docs_per_s")}


def _markdown(summary: dict[str, Any]) -> str:

    alias = ", ".join(f"`@{name}`" for name in summary["aliases"]) or "no alias"
    stages = [["stage", "outcome", "seconds"]]
    for name, outcome in summary["outcomes"].items():
        stages.append([name, outcome, f"{summary['seconds'][name]:.1f}" if name in summary["seconds"] else ""])
    parts = [
        f"## {summary['name']} version {summary['version']} ({alias})",
        as_markdown(table(summary["models"])),
        "### Stages",
        as_markdown(stages),
        f"Report: `{summary['report']}`",
    ]
    if fleet := summary["fleet"]:
        parts += ["### Devices", as_markdown(fleet["table"]), f"Report: `{fleet['report']}`"]
    return "\n\n".join(parts)


def _read(stage: str, name: str) -> Any:
    return json.loads((OUTPUTS / stage / name).read_text(encoding="utf-8"))


def show(summary: dict[str, Any], seconds: float) -> None:
    """Print what a user wants to know at the end."""
    changed = {name.partition("@")[0] for name, outcome in summary["outcomes"].items() if outcome != "unchanged"}
    ran = [name for name in summary["seconds"] if name in changed]
    total = sum(summary["seconds"].values())
    alias = ", ".join(f"@{name}" for name in summary["aliases"]) or "no alias"
    print("\n" + as_text(table(summary["models"])) + "\n")
    if ran:
        shares = ", ".join(f"{name} {summary['seconds'][name]:.0f} s" for name in ran)
        print(f"Took     {seconds:.0f} s ({shares}; the rest {seconds - total:.0f} s)")
    else:
        print(f"Took     {seconds:.0f} s: nothing had changed, so no stage ran")
    print(f"Report   {summary['report']}")
    if fleet := summary["fleet"]:
        print("\n" + as_text(fleet["table"]) + "\n")
        print(f"Fleet    {fleet['report']}")
    print(f"Model    {summary['name']} version {summary['version']} ({alias})")
    program = os.path.relpath(Path(sys.executable).parent / "mlflow")
    print(f"MLflow   {program} server --backend-store-uri {tracking_uri()} --port 5000")
    print("         then open http://localhost:5000")


@command
def main() -> None:
    """Run the flow once and show what came of it."""
    start = time.perf_counter()
    show(run_flow(distillation), time.perf_counter() - start)


if __name__ == "__main__":
    main()
