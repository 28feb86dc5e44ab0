"""The flow ``labels``: measure the accuracy with different numbers of labels per class.

``stillhouse labels`` runs it. For each number of labels and each draw of labels the stages run in a copy of the
project. The flow compares four models on the same test texts: the teacher, the compressed student, TF-IDF + SVM, and a
linear probe on the pretrained teacher.
"""

import json
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

from flows.shared.environment import own_prefect_home

own_prefect_home()  # before the import of Prefect, which reads its settings at import

from prefect import flow, task
from prefect.cache_policies import NO_CACHE
from prefect.states import State

from flows.shared.arms import (
    arm_seed,
    correctness,
    fixed_size,
    parent_run,
    print_result,
    publish_result,
    read_predictions,
    run_arm,
)
from flows.shared.chosen import run_chosen, true_labels
from flows.shared.running import run_exclusively, run_flow
from flows.shared.stage_task import logger, training_slot
from flows.shared.stopping import command
from stillhouse.data.added import read_added
from stillhouse.errors import StillhouseError
from stillhouse.evaluation import plots
from stillhouse.evaluation.curve import curve, markdown_table
from stillhouse.params import Params
from stillhouse.pipeline.artefacts import path
from stillhouse.pipeline.children import child_process, lines_of
from stillhouse.project import STATE

PROBE = "linear probe"
STUDENT, CHOSEN = "compressed student", "compressed student, chosen texts"
MODELS = ("teacher", STUDENT, "TF-IDF + SVM")
ALL = "all"
FOLDER = STATE / "labels"
DAY_S = 86_400.0


@flow(name="labels", flow_run_name=lambda: f"labels-{time.strftime('%Y%m%d-%H%M%S')}")
def labels() -> dict[str, Any] | State[Any]:
    """Measure teacher, student, SVM and linear probe at each number of labels, over several draws."""
    return run_exclusively(_measure)


def _measure(params: Params) -> dict[str, Any]:
    with parent_run("labels", params) as parent:
        arms: dict[str, list[Path]] = {}
        for count in params.labels.counts:
            # All labels can be drawn in one way only.
            draws = params.labels.draws[:1] if count == ALL else params.labels.draws
            changes = {f"{count}-{draw}": _changes(count, draw, params) for draw in draws}
            arms[str(count)] = [run_arm("labels", name, changed, params) for name, changed in changes.items()]
        chosen = _chosen(arms, params) if params.labels.choose != "random" else {}
        probed = _probe([str(folder) for folders in arms.values() for folder in folders], params)
        points = []
        for labelled, folders in arms.items():
            predictions = [read_predictions(folder) for folder in folders]
            models = {name: correctness(predictions, name).mean(1).tolist() for name in MODELS}
            if probed:
                models[PROBE] = [sum(probed[str(folder)]) / len(probed[str(folder)]) for folder in folders]
            if chosen:
                others = [read_predictions(folder) for folder in chosen.get(labelled, folders)]
                models[CHOSEN] = correctness(others, STUDENT).mean(1).tolist()
            points.append({"labels": labelled, "labelled_texts": _labelled(folders), "models": models})
        result = {"points": points, "draws": params.labels.draws, "texts": len(predictions[0]["label"])}
        publish_result("labels", parent, result, markdown_table(result), partial(plots.labels, curve(points)))
    return result


def _chosen(arms: dict[str, list[Path]], params: Params) -> dict[str, list[Path]]:
    """Run the arms with chosen texts. Return their folders by number of labels, as in ``arms``."""
    counts = sorted(count for count in params.labels.counts if isinstance(count, int))
    truth, folders = true_labels(FOLDER / "truth", params), []
    for draw, first in zip(params.labels.draws, arms[str(counts[0])] if counts else [], strict=False):
        changes = _changes(counts[0], draw, params)
        folders.append(run_chosen(counts, first, changes, f"chosen-{draw}", truth, FOLDER, params))
    return {str(count): list(places) for count, places in zip(counts, zip(*folders, strict=True), strict=False)}


def _changes(count: int | str, draw: int, params: Params) -> dict[str, Any]:
    """The changed parameters of one arm. If they equal the project's own, DVC restores the results from its cache."""
    student = {
        "size": fixed_size(params),
        "training": {"seed": arm_seed(draw, params.student.training.seed, params)},
    }
    most = None if count == ALL else count
    own = params.data.labels_per_class if most == params.data.label_limit else most
    if count == ALL:
        return {"data": {"labels_per_class": own}, "student": student}
    # Added labels would join those of each draw.
    none = {"added_labels": None} if read_added(params.data.added_labels) else {}
    drawn = none | {"labels_per_class": own, "labels_seed": arm_seed(draw, params.data.labels_seed, params)}
    return {"data": drawn, "student": student}


def _labelled(folders: list[Path]) -> float:
    """The mean number of labelled texts over the draws of an arm, including those for validation."""
    cards = [json.loads(path("prepare/metrics.json", folder).read_text("utf-8")) for folder in folders]
    return sum(card["rows"]["train"] + card["rows"]["validation"] for card in cards) / len(cards)


@task(task_run_name="linear probes", cache_policy=NO_CACHE)
def _probe(folders: list[str], params: Params) -> dict[str, list[int]]:
    """Train a linear probe for each arm, in a child process.

    Returns:
        By folder, 1 for each test text with a correct prediction, else 0. Empty if the teacher allows no linear probe.
    """
    file, log = FOLDER / "probes.json", logger()
    file.unlink(missing_ok=True)
    command = [sys.executable, "-m", "flows.workers.probes", str(file), *folders]
    with training_slot(True, params), child_process(command, DAY_S, Path.cwd()) as (child, _):
        for level, line in lines_of(child):
            log(line, level)
        status = child.wait()
    if not file.exists():
        raise StillhouseError(f"The linear probes' process ended with status {status}; its output is above.")
    result: dict[str, list[int]] = json.loads(file.read_text(encoding="utf-8"))
    return result


@command
def main() -> None:
    """Run the flow and print its table."""
    run_flow(labels)
    print_result("labels")


if __name__ == "__main__":
    from flows.cli import main as start

    start("labels")
