"""The flow ``comparison``: what distillation is worth in each direction, over several seeds.

``python -m flows.comparison``. Every combination is a copy of the project in which the same stages run; the
test texts are the same for all, and so are the data's splits.
"""

import base64
import csv
import json
import time
from pathlib import Path
from typing import Any

from flows.environment import own_prefect_home

own_prefect_home()  # before Prefect is imported: it reads its settings then

from prefect import flow, get_run_logger, task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE
from prefect.runtime import flow_run as runtime
from prefect.states import Failed, State

from flows.distillation import CHAIN
from flows.running import run_flow, turn
from flows.stopping import command
from flows.workspace import workspace
from stillhouse.errors import StillhouseError
from stillhouse.params import Params, load_params
from tasks.runner import gpu_slot, run_stage
from tasks.stage import OUTPUTS, STATE, write_json

PLAIN, REGULARISED = "teacher", "regularised teacher"
HARD, DISTILLED, BOTH = "student, hard labels", "student of the teacher", "student of the regularised teacher"
# Which column of which copy's answers an arm is.
ARMS = {
    PLAIN: ("none", "teacher"),
    REGULARISED: ("regularised", "teacher"),
    HARD: ("none", "control"),
    DISTILLED: ("none", "student"),
    BOTH: ("regularised", "student"),
}
PAIRS = [(REGULARISED, PLAIN), (DISTILLED, HARD), (BOTH, HARD), (BOTH, DISTILLED), (DISTILLED, PLAIN)]
STAGES_RUN = [stage for stage in CHAIN if stage.name != "register"]


@flow(name="comparison", flow_run_name=lambda: f"comparison-{time.strftime('%Y%m%d-%H%M%S')}")
def comparison() -> dict[str, Any] | State[Any]:
    """Compare teacher plain and regularised, student on hard labels and distilled from either, over seeds."""
    try:
        params = load_params()
        with turn(params.flow):
            result = _compare(params)
    except StillhouseError as error:  # the user's to mend: a message, not a traceback
        return Failed(message=str(error))
    folder = OUTPUTS / "comparison"
    picture = base64.b64encode((folder / "comparison.png").read_bytes()).decode()
    told = (folder / "comparison.md").read_text(encoding="utf-8")
    create_markdown_artifact(f"{told}\n\n![comparison](data:image/png;base64,{picture})", key="comparison")
    return result


def _compare(params: Params) -> dict[str, Any]:
    from stillhouse.evaluation import plots
    from stillhouse.evaluation.comparison import Arm, compare, tables
    from stillhouse.evaluation.report import as_markdown
    from stillhouse.tracking.runs import environment, flow_run, tracking_uri

    experiment, seeds = params.tracking.experiment, params.comparison.seeds
    # The copies track into this project's store.
    store = environment({"MLFLOW_TRACKING_URI": tracking_uri()})
    with store, flow_run(experiment, runtime.name or "comparison", runtime.id or "") as parent:
        parent.params({"comparison": params.comparison.model_dump(), "student": params.student.model_dump()})
        answers: dict[tuple[str, int], dict[str, list[str]]] = {}
        for seed in seeds:
            for kind in ("none", "regularised"):
                regularise = "none" if kind == "none" else params.comparison.regularise
                answers[kind, seed] = _arm(experiment, regularise, seed, params)
        arms = [
            Arm(name, _right([answers[kind, seed] for seed in seeds], column)) for name, (kind, column) in ARMS.items()
        ]
        result = compare(arms, PAIRS, PLAIN, params.evaluate.bootstrap, params.seed)
        result |= {"regularise": params.comparison.regularise, "seeds_used": seeds, "texts": arms[0].right.shape[1]}
        folder = OUTPUTS / "comparison"
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / "comparison.json", result)
        plots.arms(result["arms"], result["differences"], folder / "comparison.png")
        head = f"{len(seeds)} seeds, {result['texts']} test texts, teacher.regularise: {result['regularise']}"
        markdown = "\n\n".join([head, *map(as_markdown, tables(result))])
        (folder / "comparison.md").write_text(markdown + "\n", encoding="utf-8")
        for file in sorted(folder.iterdir()):
            parent.artifact(file)
        parent.describe(markdown)
        parent.metrics({"accuracy": {name: arm["accuracy"] for name, arm in result["arms"].items()}})
    return result


def _arm(experiment: str, regularise: str, seed: int, params: Params) -> dict[str, list[str]]:
    """Run the stages with these settings; the answers of every model on the test texts, by column."""
    from stillhouse.tracking.runs import part_run

    changes = {
        "teacher": {"seed": _said(seed, params.teacher.seed, params), "regularise": regularise},
        "student": {"training": {"seed": _said(seed, params.student.training.seed, params)}},
    }
    name = f"{regularise}-{seed}"
    folder = workspace(STATE / "comparison" / name, changes)
    get_run_logger().info("teacher.regularise: %s, seed %s, in %s", regularise, seed, folder)
    with part_run(experiment, "arm", f"teacher {regularise}, seed {seed}") as run:
        run.params({"teacher.regularise": regularise, "seed": seed})
        for stage in STAGES_RUN:
            _run_stage(name, stage.name, stage.trains, params.flow.timeout_minutes[stage.name] * 60, folder)
        metrics = json.loads((folder / OUTPUTS / "evaluate" / "metrics.json").read_text(encoding="utf-8"))
        run.metrics({"test": {model: {"accuracy": told["accuracy"]} for model, told in metrics["models"].items()}})
        with (folder / OUTPUTS / "evaluate" / "answers.csv").open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        return {column: [row[column] for row in rows] for column in rows[0]}


def _said(seed: int, own: int | None, params: Params) -> int | None:
    """``None`` where the seed of everything is it already: what the pipeline ran so comes from the cache."""
    return None if own is None and seed == params.seed else seed


@task(task_run_name="{arm}-{stage}", cache_policy=NO_CACHE)
def _run_stage(arm: str, stage: str, trains: bool, timeout_s: float, folder: Path) -> str:
    with gpu_slot(trains):
        return run_stage(stage, timeout_s, folder=folder)


def _right(answers: list[dict[str, list[str]]], column: str) -> Any:
    import numpy as np

    return np.array([np.array(told[column]) == np.array(told["label"]) for told in answers], dtype=float)


@command
def main() -> None:
    """Run the comparison and print its table."""
    run_flow(comparison)
    print("\n" + (OUTPUTS / "comparison" / "comparison.md").read_text(encoding="utf-8"))
    print(f"Figure  {(OUTPUTS / 'comparison' / 'comparison.png').resolve()}")


if __name__ == "__main__":
    main()
