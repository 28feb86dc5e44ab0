"""The flow ``comparison``: what distillation is worth in each direction, over several seeds.

``stillhouse compare`` runs it. Every combination is a copy of the project in which the same stages run; the
test texts are the same for all, and so are the data's splits.
"""

import time
from functools import partial
from typing import Any

from flows.shared.environment import own_prefect_home

own_prefect_home()  # before Prefect is imported: it reads its settings then

from prefect import flow
from prefect.states import State

from flows.shared.arms import Answers, answers_in, keep, right, run_arm, said, tell, tracked
from flows.shared.running import in_turn, run_flow
from flows.shared.stopping import command
from stillhouse.evaluation import plots
from stillhouse.evaluation.comparison import Arm, compare, tables
from stillhouse.evaluation.report import as_markdown
from stillhouse.params import Params

PLAIN, REGULARISED = "teacher", "regularised teacher"
HARD, DISTILLED, BOTH = "student, hard labels", "student of the teacher", "student of the regularised teacher"
TOGETHER = "student of the regularised teacher and second teachers"
# Which column of which copy's answers an arm is.
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
    """Compare teachers and students with neither direction of distillation, with one, and with both, over seeds."""
    return in_turn(_compare)


def _compare(params: Params) -> dict[str, Any]:

    seeds = params.comparison.seeds
    with tracked("comparison", params) as parent:
        answers: dict[tuple[str, int], Answers] = {}
        for seed in seeds:
            for kind in KINDS:
                folder = run_arm("comparison", f"{kind}-{seed}", _changes(kind, seed, params), params)
                answers[kind, seed] = answers_in(folder)
        arms = [
            Arm(name, right([answers[kind, seed] for seed in seeds], column)) for name, (kind, column) in ARMS.items()
        ]
        result = compare(arms, PAIRS, PLAIN, params.evaluate.bootstrap, params.seed)
        result |= {"regularise": params.comparison.regularise, "seeds_used": seeds, "texts": arms[0].right.shape[1]}
        head = f"{len(seeds)} seeds, {result['texts']} test texts, regularised by: {result['regularise']}"
        markdown = "\n\n".join([head, *map(as_markdown, tables(result))])
        keep("comparison", parent, result, markdown, partial(plots.arms, result["arms"], result["differences"]))
        parent.metrics({"accuracy": {name: arm["accuracy"] for name, arm in result["arms"].items()}})
    return result


def _changes(kind: str, seed: int, params: Params) -> dict[str, Any]:
    """The parameters of one arm; where labels are few a seed draws other ones, too."""
    how, own, seconds = params.comparison.regularise, params.teacher, params.soft_labels.second_teachers
    teacher: dict[str, Any] = {"seed": said(seed, own.seed, params), "regularise": "none", "cotraining": 0}
    if kind != "plain" and how == "cotraining":
        teacher["cotraining"] = max(1, own.cotraining)
    elif kind != "plain":
        teacher["regularise"] = how
    return {
        "data": {"labels_seed": said(seed, params.data.labels_seed, params)},
        "teacher": teacher,
        "soft_labels": {"second_teachers": max(1, seconds) if kind == "together" else 0},
        "student": {"training": {"seed": said(seed, params.student.training.seed, params)}},
    }


@command
def main() -> None:
    """Run the comparison and print its table."""
    run_flow(comparison)
    tell("comparison")


if __name__ == "__main__":
    from flows.cli import main as start

    start("compare")
