"""The flow ``comparison``: what distillation is worth in each direction, over several seeds.

``python -m flows.comparison``. Every combination is a copy of the project in which the same stages run; the
test texts are the same for all, and so are the data's splits.
"""

import base64
import time
from typing import Any

from flows.environment import own_prefect_home

own_prefect_home()  # before Prefect is imported: it reads its settings then

from prefect import flow
from prefect.artifacts import create_markdown_artifact
from prefect.runtime import flow_run as runtime
from prefect.states import Failed, State

from flows.arms import Answers, answers_in, right, run_arm, said
from flows.running import run_flow, turn
from flows.stopping import command
from stillhouse.errors import StillhouseError
from stillhouse.params import Params, load_params
from tasks.stage import OUTPUTS, write_json

PLAIN, REGULARISED = "teacher", "regularised teacher"
HARD, DISTILLED, BOTH = "student, hard labels", "student of the teacher", "student of the regularised teacher"
# Which column of which copy's answers an arm is.
ARMS = {
    PLAIN: ("plain", "teacher"),
    REGULARISED: ("regularised", "teacher"),
    HARD: ("plain", "control"),
    DISTILLED: ("plain", "student"),
    BOTH: ("regularised", "student"),
}
PAIRS = [(REGULARISED, PLAIN), (DISTILLED, HARD), (BOTH, HARD), (BOTH, DISTILLED), (DISTILLED, PLAIN)]


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
        answers: dict[tuple[str, int], Answers] = {}
        for seed in seeds:
            for kind in ("plain", "regularised"):
                folder = run_arm("comparison", f"{kind}-{seed}", _changes(kind, seed, params), params)
                answers[kind, seed] = answers_in(folder)
        arms = [
            Arm(name, right([answers[kind, seed] for seed in seeds], column)) for name, (kind, column) in ARMS.items()
        ]
        result = compare(arms, PAIRS, PLAIN, params.evaluate.bootstrap, params.seed)
        result |= {"regularise": params.comparison.regularise, "seeds_used": seeds, "texts": arms[0].right.shape[1]}
        folder = OUTPUTS / "comparison"
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / "comparison.json", result)
        plots.arms(result["arms"], result["differences"], folder / "comparison.png")
        head = f"{len(seeds)} seeds, {result['texts']} test texts, regularised by: {result['regularise']}"
        markdown = "\n\n".join([head, *map(as_markdown, tables(result))])
        (folder / "comparison.md").write_text(markdown + "\n", encoding="utf-8")
        for file in sorted(folder.iterdir()):
            parent.artifact(file)
        parent.describe(markdown)
        parent.metrics({"accuracy": {name: arm["accuracy"] for name, arm in result["arms"].items()}})
    return result


def _changes(kind: str, seed: int, params: Params) -> dict[str, Any]:
    """The parameters of one arm; where labels are few a seed draws other ones, too."""
    how, own = params.comparison.regularise, params.teacher
    teacher: dict[str, Any] = {"seed": said(seed, own.seed, params), "regularise": "none", "cotraining": 0}
    if kind == "regularised" and how == "cotraining":
        teacher["cotraining"] = max(1, own.cotraining)
    elif kind == "regularised":
        teacher["regularise"] = how
    return {
        "data": {"labels_seed": said(seed, params.data.labels_seed, params)},
        "teacher": teacher,
        "student": {"training": {"seed": said(seed, params.student.training.seed, params)}},
    }


@command
def main() -> None:
    """Run the comparison and print its table."""
    run_flow(comparison)
    print("\n" + (OUTPUTS / "comparison" / "comparison.md").read_text(encoding="utf-8"))
    print(f"Figure  {(OUTPUTS / 'comparison' / 'comparison.png').resolve()}")


if __name__ == "__main__":
    main()
