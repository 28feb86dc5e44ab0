"""The flow ``comparison``: measure the effect of each direction of distillation over several seeds.

``stillhouse compare`` runs it. Each combination runs the same stages in its own copy of the project. All copies have
the same splits and the same test texts.
"""

import time
from functools import partial
from typing import Any

from flows.shared.environment import own_prefect_home

own_prefect_home()  # before the import of Prefect, which reads its settings at import

from prefect import flow
from prefect.states import State

from flows.shared.arms import (
    Predictions,
    arm_seed,
    correctness,
    fixed_size,
    parent_run,
    print_result,
    publish_result,
    read_predictions,
    run_arm,
)
from flows.shared.running import run_exclusively, run_flow
from flows.shared.stopping import command
from stillhouse.evaluation import plots
from stillhouse.evaluation.comparison import Arm, compare, tables
from stillhouse.evaluation.report import as_markdown
from stillhouse.params import Params

PLAIN, REGULARISED = "teacher", "regularised teacher"
HARD, DISTILLED, BOTH = "student, hard labels", "student of the teacher", "student of the regularised teacher"
TOGETHER = "student of the regularised teacher and second teachers"
# Each arm: a kind of copy, and a column of its answers.csv.
ARMS = {
    PLAIN: ("plain", "teacher"),
    REGULARISED: ("regularised", "teacher"),
    HARD: ("plain", "control"),
    DISTILLED: ("plain", "student"),
    BOTH: ("regularised", "student"),
    TOGETHER: ("together", "student"),
}
KINDS = tuple(dict.fromkeys(kind for kind, _ in ARMS.values()))
PAIRS = [
    (REGULARISED, PLAIN),
    (DISTILLED, HARD),
    (BOTH, HARD),
    (BOTH, DISTILLED),
    (DISTILLED, PLAIN),
    (TOGETHER, BOTH),
    (TOGETHER, HARD),
    (TOGETHER, PLAIN),
]


@flow(name="comparison", flow_run_name=lambda: f"comparison-{time.strftime('%Y%m%d-%H%M%S')}")
def comparison() -> dict[str, Any] | State[Any]:
    """Compare teachers and students without distillation, with one direction, and with both, over several seeds."""
    return run_exclusively(_compare)


def _compare(params: Params) -> dict[str, Any]:
    seeds = params.comparison.seeds
    with parent_run("comparison", params) as parent:
        predictions: dict[tuple[str, int], Predictions] = {}
        for seed in seeds:
            for kind in KINDS:
                folder = run_arm("comparison", f"{kind}-{seed}", _changes(kind, seed, params), params)
                predictions[kind, seed] = read_predictions(folder)
        arms = [
            Arm(name, correctness([predictions[kind, seed] for seed in seeds], column))
            for name, (kind, column) in ARMS.items()
        ]
        result = compare(arms, PAIRS, PLAIN, params.evaluate.bootstrap, params.seed)
        result |= {"regularise": params.comparison.regularise, "seeds_used": seeds, "texts": arms[0].right.shape[1]}
        head = f"{len(seeds)} seeds, {result['texts']} test texts, regularised by: {result['regularise']}"
        markdown = "\n\n".join([head, *map(as_markdown, tables(result))])
        publish_result(
            "comparison", parent, result, markdown, partial(plots.arms, result["arms"], result["differences"])
        )
        parent.metrics({"accuracy": {name: arm["accuracy"] for name, arm in result["arms"].items()}})
    return result


def _changes(kind: str, seed: int, params: Params) -> dict[str, Any]:
    """The changed parameters of one arm. With few labels the seed also draws other labels."""
    how, own, seconds = params.comparison.regularise, params.teacher, params.soft_labels.second_teachers
    teacher: dict[str, Any] = {"seed": arm_seed(seed, own.seed, params), "regularise": "none", "cotraining": 0}
    if kind != "plain" and how == "cotraining":
        teacher["cotraining"] = max(1, own.cotraining)
    elif kind != "plain":
        teacher["regularise"] = how
    return {
        "data": {"labels_seed": arm_seed(seed, params.data.labels_seed, params)},
        "teacher": teacher,
        "soft_labels": {"second_teachers": max(1, seconds) if kind == "together" else 0},
        "student": {
            "size": fixed_size(params),
            "training": {"seed": arm_seed(seed, params.student.training.seed, params)},
        },
    }


@command
def main() -> None:
    """Run the comparison and print its table."""
    run_flow(comparison)
    print_result("comparison")


if __name__ == "__main__":
    from flows.cli import main as start

    start("compare")
