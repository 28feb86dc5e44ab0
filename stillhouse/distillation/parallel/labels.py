"""Soft labels that several ranks compute, each for its share of the texts."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset

from stillhouse.distillation.log import Log, NoLog
from stillhouse.distillation.parallel.group import Group
from stillhouse.distillation.parallel.launch import run_ranks
from stillhouse.distillation.parallel.stored import open_array, open_dataset, stored_array, stored_dataset
from stillhouse.distillation.softlabeller import SoftLabeller, labelled, soft_labeller, store
from stillhouse.models.teacher import load_teacher

ARRAYS = ("logits.npy", "features.npy", "relations.npy")


def label_on_ranks(
    labeller: SoftLabeller,
    datasets: Sequence[Dataset],
    known_rows: np.ndarray,
    folder: Path,
    source: Path,
    processes: int,
) -> None:
    """Label texts as :func:`~stillhouse.distillation.softlabeller.labelled` does, on ``processes`` ranks.

    Args:
        labeller: labels the texts. Its teacher leaves the GPU while the ranks run.
        datasets: the texts.
        known_rows: int64 (texts,), -1 for a text to label.
        folder: has the arrays to write into.
        source: the folder of the teacher.
        processes: number of ranks.

    Raises:
        StillhouseError: a rank failed or was killed.
    """
    place, teacher = folder / "job", labeller.teacher
    place.mkdir()
    job = {
        "kind": "labels",
        "device": teacher.model.device.type,
        "teacher": str(source),
        "max_length": teacher.max_length,
        "datasets": [stored_dataset(one, place / f"texts-{number}") for number, one in enumerate(datasets)],
        "batch_size": labeller.batch_size,
        "bf16": labeller.bf16,
        "relation_words": labeller.words,
        "known_rows": stored_array(known_rows, place / "known_rows.npy"),
        "folder": str(folder),
    }
    with labeller.off_gpu():
        run_ranks(place, job, processes, NoLog())
    shutil.rmtree(place)


def run(job: dict[str, Any], folder: Path, group: Group, device: torch.device, log: Log) -> None:
    """Run one rank of :func:`label_on_ranks`. The ranks write different rows of the same files."""
    teacher = load_teacher(Path(job["teacher"]), job["max_length"], device)
    datasets = [open_dataset(path) for path in job["datasets"]]
    known_rows = open_array(job["known_rows"])
    assert known_rows is not None
    files = [Path(job["folder"]) / name for name in ARRAYS[: 3 if job["relation_words"] else 2]]
    arrays = [np.load(file, mmap_mode="r+") for file in files]
    labeller = soft_labeller(teacher, datasets, job["batch_size"], job["bf16"], job["relation_words"])
    own = int((known_rows < 0).sum()) // group.size
    store(labelled(labeller, datasets, known_rows, group.rank, group.size), arrays, own, quiet=not group.first)
    for array in arrays:
        array.flush()
