"""Trains a student from files. The stages ``control`` and ``student`` and the trials of a study use it."""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from tokenizers import Tokenizer

from stillhouse.data.encoded import encode_texts
from stillhouse.data.splits import label_names, labels_of, read_split
from stillhouse.distillation.answers import HELDOUT, VALIDATION, SoftLabels, read_soft_labels
from stillhouse.distillation.check import Check, selected_epoch
from stillhouse.distillation.examples import Examples
from stillhouse.distillation.generations import next_generation
from stillhouse.distillation.log import Log, NoLog
from stillhouse.distillation.objective import Distillation, HardLabels, distillation
from stillhouse.distillation.parallel.nodes import node_count
from stillhouse.distillation.parallel.student import train_on_ranks
from stillhouse.distillation.scratch import identity, scratch_folder
from stillhouse.distillation.trainer import train_student
from stillhouse.distillation.trust import ALPHA_ABOVE, ALPHA_BELOW, ALPHA_NOT_SHOWN, choose_alpha
from stillhouse.models.device import choose_device
from stillhouse.models.students.student import (
    Start,
    Student,
    build_student,
    load_student,
    predict_logits,
    student_logits,
)
from stillhouse.params import Params, Varying
from stillhouse.params import Student as Settings
from stillhouse.task import TASK

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainingData:
    """The files that a student is trained from.

    Attributes:
        train: the split with labels.
        validation: the split that selects the epoch. It may be empty.
        heldout: texts without labels. If validation is empty, the agreement on them is measured.
        soft_labels: the folder of soft labels. None: the training uses the hard labels alone.
        control: the folder of the control's model. ``alpha: auto`` compares the soft labels with it.
    """

    train: Path
    validation: Path
    heldout: Path | None = None
    soft_labels: Path | None = None
    control: Path | None = None


@dataclass(frozen=True)
class Fitted:
    """A trained student.

    Attributes:
        student: has the weights of the selected epoch.
        history: the metrics of each epoch.
        selected: the metrics of the selected epoch.
    """

    student: Student
    history: list[dict[str, float]]
    selected: dict[str, float]


def fit_student(
    stage: str,
    params: Params,
    data: TrainingData,
    tokenizer: Tokenizer,
    *,
    device: str,
    log: Log,
    start: Start | None = None,
    seed: int | None = None,
    processes: int = 1,
) -> Fitted:
    """Build the student that ``params.student`` describes and train it.

    Args:
        stage: the prefix of the checkpoint folder.
        params: all parameters. The function uses those under ``student`` and the seed.
        data: the training files.
        tokenizer: of the student.
        device: as in ``params.device``.
        log: gets the metrics of every epoch and step.
        start: initialises the network, for example from the teacher; None: random weights.
        seed: of this training; None: :func:`training_seed`.
        processes: number of processes that train together, on this machine's GPUs or CPU cores.

    Raises:
        TrainingDiverged: a NaN, an infinity or an exploding loss.
    """
    settings, soft_folder = params.student, data.soft_labels
    seed = training_seed(params) if seed is None else seed
    target = choose_device(device)
    tokenizer.no_truncation()
    tokenizer.no_padding()
    inputs: dict[str, Path | str | None] = {
        "train": data.train,
        "validation": data.validation,
        "tokenizer": tokenizer.to_str(),
        "soft_labels": soft_folder,
        "control": data.control,
        "start": start.digest if start else None,
    }
    used = settings.model_dump(include=None if soft_folder else {"network", "training"})
    scratch = scratch_folder(stage, identity(used, seed, target.type, inputs))
    train_split, validation = (read_split(file) for file in (data.train, data.validation))
    names = label_names(train_split)
    soft = read_soft_labels(soft_folder) if soft_folder else None
    alpha = _alpha(settings, validation, soft_folder, data.control) if soft_folder else 0.0
    length = settings.network.reads
    train = _examples(train_split, tokenizer, length, scratch / "train", soft, settings.folds if soft else None)
    check = None
    if len(validation):
        check = Check("validation_accuracy", _examples(validation, tokenizer, length, scratch / "check"))
    elif soft_folder and data.heldout and len(heldout := read_split(data.heldout)):
        encoded = encode_texts([heldout], tokenizer, length, scratch / "check")
        check = Check("heldout_agreement", Examples(encoded, TASK.decision(np.load(soft_folder / HELDOUT))))
    generations = settings.generations if soft_folder else 1
    for generation in range(1, generations + 1):
        folder = scratch / f"generation-{generation}"
        folder.mkdir(exist_ok=True)
        torch.manual_seed(seed)
        student = build_student(tokenizer, names, settings.network)
        if start:
            start.apply(student.network)
        student.network.initialise_wide(train.encoded)
        objective: Distillation | HardLabels = HardLabels()
        if soft:
            objective = distillation(settings, alpha, student.network, soft.features.shape[1])
        options: Any = {"device": target, "seed": seed, "scratch": folder}
        options["log"] = log if generation == generations else NoLog()
        if processes > 1 or node_count() > 1:
            options["processes"] = processes
            history = train_on_ranks(student, train, check, objective, settings.training, **options)
        else:
            history = train_student(student.network, train, check, objective, settings.training, **options)
        if generation < generations:
            logger.info("generation %d of %d retrains the head of its teacher", generation, generations)
            train = next_generation(train, predict_logits(student.network, train.encoded, target), seed)
    return Fitted(student, history, selected_epoch(history, check))


def training_seed(params: Params) -> int:
    """Return ``student.training.seed``, or ``seed`` if it is null."""
    own = params.student.training.seed
    return params.seed if own is None else own


def _alpha(settings: Settings, validation: Dataset, soft_folder: Path, control: Path | None) -> float | Varying:
    if settings.alpha != "auto":
        return settings.alpha
    if not len(validation):
        logger.info("alpha %s: there are no validation texts", ALPHA_NOT_SHOWN)
        return ALPHA_NOT_SHOWN
    assert control is not None, "alpha: auto compares the soft labels with the control"
    control_logits = student_logits(load_student(control), validation, torch.device("cpu"))
    alpha = choose_alpha(labels_of(validation), np.load(soft_folder / VALIDATION), control_logits)
    result = {ALPHA_ABOVE: "shown above", ALPHA_NOT_SHOWN: "not shown above", ALPHA_BELOW: "shown below"}[alpha]
    logger.info("alpha %s: on validation the soft labels are %s the control", alpha, result)
    return alpha


def _examples(
    split: Dataset,
    tokenizer: Tokenizer,
    max_length: int,
    file: Path,
    soft: SoftLabels | None = None,
    folds: int | None = None,
) -> Examples:
    """Return the texts of a split, then the texts with soft labels only."""
    labels = labels_of(split)
    if soft is None:
        return Examples(encode_texts([split], tokenizer, max_length, file), labels)
    chosen = soft.used(folds)
    extra = soft.extra if len(chosen) == len(soft.extra) else soft.extra.select(chosen)
    return Examples(
        encode_texts([split, extra], tokenizer, max_length, file, words=soft.relations is not None),
        np.concatenate([labels, TASK.no_labels(len(extra))]),
        soft.logits,
        soft.features,
        soft.relations,
        np.concatenate([np.arange(len(split)), len(split) + chosen]),
    )
