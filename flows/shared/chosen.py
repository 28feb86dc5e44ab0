"""Arms of the flow ``labels`` whose texts are chosen as ``stillhouse next`` does. The source has their labels."""

from itertools import pairwise
from pathlib import Path
from typing import Any

from flows.shared.arms import run_arm, run_arm_stage
from flows.shared.workspace import workspace
from stillhouse.data.added import append_added, read_added
from stillhouse.data.keys import text_key
from stillhouse.data.splits import label_names, labels_of, read_split
from stillhouse.labelling.unlabelled import next_texts, unlabelled_texts
from stillhouse.params import Params
from stillhouse.pipeline.artefacts import path, split
from stillhouse.task import TASK

Truth = dict[bytes, str]  # the label of each text by its key


def true_labels(folder: Path, params: Params) -> Truth:
    """Prepare a copy of the project in ``folder`` with all labels, and return those of train and validation."""
    workspace(folder, {"data": {"labels_per_class": None, "added_labels": None}})
    run_arm_stage("all labels", "prepare", False, params, folder)
    truth: Truth = {}
    for name in ("train", "validation"):
        dataset = read_split(path(name, folder))
        labels = TASK.decode(labels_of(dataset), label_names(dataset))
        truth |= dict(zip(map(text_key, dataset["text"]), labels, strict=True))
    return truth


def run_chosen(
    counts: list[int], first: Path, changes: dict[str, Any], name: str, truth: Truth, folder: Path, params: Params
) -> list[Path]:
    """Run an arm for each number of labels after the first one, with texts that the arm before would choose.

    Args:
        counts: numbers of labels for each class.
        first: the copy of the project that ran with the first number of labels.
        changes: the changed parameters of that arm.
        name: of the arms, without their number of labels.
        truth: the labels.
        folder: for the files of labels.
        params: of the project.

    Returns:
        The folders of the copies, the first one included.
    """
    folders, done = [first], b""
    for before, count in pairwise(counts):
        file = folder / f"{name}-{count}.csv"
        file.write_bytes(done)
        add_chosen(file, folders[-1], count - before, truth, params)
        done = file.read_bytes()
        arm = changes | {"data": changes["data"] | {"added_labels": str(file.resolve())}}
        folders.append(run_arm("labels", f"{name}-{count}", arm, params))
    return folders


def add_chosen(file: Path, folder: Path, per_class: int, truth: Truth, params: Params) -> None:
    """Append to ``file`` the labels of the texts that ``stillhouse next`` chooses from the outputs in ``folder``."""
    places = (split("train", folder), path("train", folder), path("soft_labels/answers", folder))
    found = unlabelled_texts(*places, read_added(str(file)), params.seed, among=truth)
    chosen = next_texts(found, params.labels.choose, per_class * len(found.classes), params.seed)
    texts = [found.texts[row] for row in chosen]
    append_added(file, [(text, truth[text_key(text)]) for text in texts], "")
