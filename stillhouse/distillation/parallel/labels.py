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
from stillhouse.distillation.softlabels import label_texts
from stillhouse.models.teacher import Teacher, load_teacher

ARRAYS = ("logits.npy", "features.npy", "relations.npy")


def label_on_ranks(
    teacher: Teacher,
    datasets: Sequence[Dataset],
    batch_size: int,
    bf16: bool,
    relation_words: int,
    known_rows: np.ndarray,
    folder: Path,
    source: Path,
    processes: int,
) -> None:
    """Label texts as :func:`~stillhouse.distillation.softlabels.label_texts` does, on ``processes`` ranks.

    Args:
        teacher: as it was loaded from ``source``. It leaves the GPU while the ranks run.
        datasets: the texts.
        batch_size: texts at once.
        bf16: compute in bfloat16.
        relation_words: words of each text with relations.
        known_rows: int64 (texts,), -1 for a text to label.
        folder: has the arrays to write into.
        source: the folder of the teacher.
        processes: number of ranks.

    Raises:
        StillhouseError: a rank failed or was killed.
    """
    place, device = folder / "job", teacher.model.device
    place.mkdir()
    job = {
        "kind": "labels",
        "device": device.type,
        "teacher": str(source),
        "max_length": teacher.max_length,
        "datasets": [stored_dataset(one, place / f"texts-{number}") for number, one in enumerate(datasets)],
        "batch_size": batch_size,
        "bf16": bf16,
        "relation_words": relation_words,
        "known_rows": stored_array(known_rows, place / "known_rows.npy"),
        "folder": str(folder),
    }
    teacher.model.to("cpu")
    if device.type == "cuda":
        torch.cuda.empty_cache()
    run_ranks(place, job, processes, NoLog())
    teacher.model.to(device)
    shutil.rmtree(place)


def run(job: dict[str, Any], folder: Path, group: Group, device: torch.device, log: Log) -> None:
    """Run one rank of :func:`label_on_ranks`. The ranks write different rows of the same files."""
    teacher = load_teacher(Path(job["teacher"]), job["max_length"], device)
    datasets = [open_dataset(path) for path in job["datasets"]]
    known_rows = open_array(job["known_rows"])
    assert known_rows is not None
    files = [Path(job["folder"]) / name for name in ARRAYS[: 3 if job["relation_words"] else 2]]
    arrays = [np.load(file, mmap_mode="r+") for file in files]
    label_texts(
        teacher,
        datasets,
        job["batch_size"],
        job["bf16"],
        job["relation_words"],
        known_rows,
        arrays,
        group.rank,
        group.size,
    )
    for array in arrays:
        array.flush()
