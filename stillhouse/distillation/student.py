"""One student's training from files: what the control and the student stages have in common."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer

from stillhouse.data.encoded import encode_split
from stillhouse.data.splits import label_names, labels_of, read_split
from stillhouse.distillation.checkpoints import scratch_folder
from stillhouse.distillation.objective import Objective
from stillhouse.distillation.trainer import Examples, Log, train_student
from stillhouse.models.device import choose_device
from stillhouse.models.student import Student, build_student
from stillhouse.params import Params
from stillhouse.provenance import file_md5


def fit_student(
    stage: str,
    params: Params,
    data: Path,
    tokenizer: Tokenizer,
    objective: Objective,
    *,
    device: str,
    log: Log,
    embedding: torch.Tensor | None = None,
    train_logits: Path | None = None,
) -> tuple[Student, list[dict[str, float]]]:
    """Build the student that ``params.student`` describes and train it on the splits in ``data``.

    Args:
        stage: names the checkpoints.
        params: all parameters; ``student.network``, ``student.training`` and ``seed`` are used.
        data: a folder with ``train.arrow`` and ``validation.arrow``.
        tokenizer: the student's own.
        objective: what to minimise.
        device: as in ``params.device``.
        log: called after every epoch.
        embedding: initial word vectors, ``(vocabulary, dimension)``.
        train_logits: a ``.npy`` of the teacher's logits for the training texts, ``(texts, classes)``.

    Returns:
        The student with the weights of its best epoch, and one row of numbers an epoch.
    """
    settings = params.student
    files = {name: data / f"{name}.arrow" for name in ("train", "validation")}
    digests: list[Any] = [file_md5(file) for file in [*files.values(), *([train_logits] if train_logits else [])]]
    scratch = scratch_folder(stage, settings.model_dump(), params.seed, digests)
    splits = {name: read_split(file) for name, file in files.items()}
    torch.manual_seed(params.seed)
    student = build_student(tokenizer, label_names(splits["train"]), settings.network, embedding)
    examples = {
        name: Examples(
            encode_split(split, tokenizer, settings.network.max_length, scratch / f"{name}.ids"),
            labels_of(split),
            np.load(train_logits, mmap_mode="r") if train_logits and name == "train" else None,
        )
        for name, split in splits.items()
    }
    history = train_student(
        student.network,
        examples["train"],
        examples["validation"],
        objective,
        settings.training,
        device=choose_device(device),
        seed=params.seed,
        scratch=scratch,
        log=log,
    )
    return student, history


def best_epoch(history: list[dict[str, float]]) -> dict[str, float]:
    """The row whose weights were kept: the highest validation accuracy, then the lowest loss."""
    return max(history, key=lambda row: (row["validation_accuracy"], -row["validation_loss"]))
