"""The flow ``labels``: how many labels a class are enough?

``stillhouse labels`` runs it. For each number of labels, and several draws of them, a copy of the project in which the
pipeline's stages run; what is compared is the teacher, the compressed student, TF-IDF + SVM, and a linear probe on the
pretrained teacher, all on the same test texts.
"""

import json
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

from flows.shared.environment import own_prefect_home

own_prefect_home()  # before Prefect is imported: it reads its settings then

from prefect import flow, task
from prefect.cache_policies import NO_CACHE
from prefect.states import State

from flows.shared.arms import answers_in, keep, right, run_arm, said, tell, tracked
from flows.shared.running import in_turn, run_flow
from flows.shared.stage_task import logger, training_slot
from flows.shared.stopping import command
from stillhouse.errors import StillhouseError
from stillhouse.evaluation import plots
from stillhouse.evaluation.curve import curve, markdown_table
from stillhouse.params import Params
from stillhouse.pipeline.artefacts import path
from stillhouse.pipeline.children import child_process, lines_of
from stillhouse.project import STATE

PROBE = "linear probe"
MODELS = ("teacher", "compressed student", "TF-IDF + SVM")
ALL = "all"
ROOM = STATE / "labels"
DAY_S = 86_400.0


@flow(name="labels", flow_run_name=lambda: f"labels-{time.strftime('%Y%m%d-%H%M%S')}")
def labels() -> dict[str, Any] | State[Any]:
    """Teacher, student, SVM and linear probe at each number of labels, over several draws."""
    return in_turn(_measure)


def _measure(params: Params) -> dict[str, Any]:

    with tracked("labels", params) as parent:
        arms: dict[str, list[Path]] = {}
        for count in params.labels.counts:
            # Of all labels there is but one draw.
            draws = params.labels.draws[:1] if count == ALL else params.labels.draws
            changes = {f"{count}-{draw}": _changes(count, draw, params) for draw in draws}
            arms[str(count)] = [run_arm("labels", name, changed, params) for name, changed in changes.items()]
        probed = _probe([str(folder) for folders in arms.values() for folder in folders], params)
        points = []
        for labelled, folders in arms.items():
            answers = [answers_in(folder) for folder in folders]
            models = {name: right(answers, name).mean(1).tolist() for name in MODELS}
            if probed:
                models[PROBE] = [sum(probed[str(folder)]) / len(probed[str(folder)]) for folder in folders]
            points.append({"labels": labelled, "labelled_texts": _labelled(folders), "models": models})
        result = {"points": points, "draws": params.labels.draws, "texts": len(answers[0]["label"])}
        keep("labels", parent, result, markdown_table(result), partial(plots.labels, curve(points)))
    return result


def _changes(count: int | str, draw: int, params: Params) -> dict[str, Any]:
    """The parameters of one arm; where they are the project's own, what the pipeline ran comes from the cache."""
    seed = said(draw, params.student.training.seed, params)
    kept = None if count == ALL else count
    own = params.data.labels_per_class if kept == params.data.label_limit else kept
    if count == ALL:
        return {"data": {"labels_per_class": own}, "student": {"training": {"seed": seed}}}
    drawn = {"labels_per_class": own, "labels_seed": said(draw, params.data.labels_seed, params)}
    return {"data": drawn, "student": {"training": {"seed": seed}}}


def _labelled(folders: list[Path]) -> float:
    """Labelled texts of an arm, those for validation among them, in the mean over its draws."""
    cards = [json.loads(path("prepare/metrics.json", folder).read_text("utf-8")) for folder in folders]
    return sum(card["rows"]["train"] + card["rows"]["validation"] for card in cards) / len(cards)


@task(task_run_name="linear probes", cache_policy=NO_CACHE)
def _probe(folders: list[str], params: Params) -> dict[str, list[int]]:
    """For each arm whether a linear probe is right on each test text; empty where there is no such probe."""
    file, say = ROOM / "probes.json", logger()
    file.unlink(missing_ok=True)
    command = [sys.executable, "-m", "flows.workers.probes", str(file), *folders]
    with training_slot(True, params), child_process(command, DAY_S, Path.cwd()) as (child, _):
        for level, line in lines_of(child):
            say(line, level)
        status = child.wait()
    if not file.exists():
        raise StillhouseError(f"The linear probes' process ended with status {status}; its output stands above.")
    result: dict[str, list[int]] = json.loads(file.read_text(encoding="utf-8"))
    return result


@command
def main() -> None:
    """Run the flow and print its table."""
    run_flow(labels)
    tell("labels")


if __name__ == "__main__":
    from flows.cli import main as start

    start("labels")
