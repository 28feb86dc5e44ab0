"""One student's training from files: what the control, the student and a study's trials have in common."""

import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from datasets import Dataset
from tokenizers import Tokenizer

from stillhouse.data.encoded import encode_texts
from stillhouse.data.splits import label_names, labels_of, read_split
from stillhouse.distillation.answers import HELDOUT, VALIDATION, Answers, read_answers
from stillhouse.distillation.check import Check, selected_epoch
from stillhouse.distillation.examples import Examples
from stillhouse.distillation.generations import taught_back
from stillhouse.distillation.log import Log, NoLog
from stillhouse.distillation.objective import Distillation, HardLabels, distillation
from stillhouse.distillation.scratch import identity, scratch_folder
from stillhouse.distillation.trainer import train_student
from stillhouse.distillation.trust import DOUBTED, OVERRULED, TRUSTED, chosen_alpha
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
        validation: the split that selects the epoch; it may be empty.
        heldout: texts without labels that select the epoch where validation is empty.
        answers: the folder of soft labels. None: the training uses the hard labels alone.
        control: the folder of the control's model. ``alpha: auto`` compares the soft labels with it.
    """

    train: Path
    validation: Path
    heldout: Path | None = None
    answers: Path | None = None
    control: Path | None = None


@dataclass(frozen=True)
class Fitted:
    """A trained student with the weights of the selected epoch, one row of numbers an epoch, and that epoch's row."""

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
) -> Fitted:
    """Build the student that ``params.student`` describes and train it.

    Args:
        stage: names the checkpoints.
        params: all parameters; those under ``student`` and the seed are used.
        data: the files that it learns from.
        tokenizer: the student's own.
        device: as in ``params.device``.
        log: gets the numbers of every epoch and step.
        start: changes the freshly initialised network, for example to what the teacher knows; None leaves it random.
        seed: of this training; None: :func:`training_seed`.

    Raises:
        TrainingDiverged: a NaN, an infinity or an exploding loss.
    """
    settings, answers = params.student, data.answers
    seed = training_seed(params) if seed is None else seed
    target = choose_device(device)
    tokenizer.no_truncation()
    tokenizer.no_padding()
    inputs: dict[str, Path | str | None] = {
        "train": data.train,
        "validation": data.validation,
        "tokenizer": tokenizer.to_str(),
        "answers": answers,
        "control": data.control,
        "start": start.digest if start else None,
    }
    used = settings.model_dump(include=None if answers else {"network", "training"})
    scratch = scratch_folder(stage, identity(used, seed, target.type, inputs))
    train_split, validation = (read_split(file) for file in (data.train, data.validation))
    names = label_names(train_split)
    given = read_answers(answers) if answers else None
    alpha = _alpha(settings, validation, answers, data.control) if answers else 0.0
    length = settings.network.reads
    train = _examples(train_split, tokenizer, length, scratch / "train", given, settings.folds if given else None)
    check = None
    if len(validation):
        check = Check("validation_accuracy", _examples(validation, tokenizer, length, scratch / "check"))
    elif answers and data.heldout and len(heldout := read_split(data.heldout)):
        encoded = encode_texts([heldout], tokenizer, length, scratch / "check")
        check = Check("heldout_agreement", Examples(encoded, TASK.decision(np.load(answers / HELDOUT))))
    generations = settings.generations if answers else 1
    for generation in range(1, generations + 1):
        place = scratch / f"generation-{generation}"
        place.mkdir(exist_ok=True)
        torch.manual_seed(seed)
        student = build_student(tokenizer, names, settings.network)
        if start:
            start.apply(student.network)
        student.network.weigh(train.encoded)
        objective: Distillation | HardLabels = HardLabels()
        if given:
            objective = distillation(settings, alpha, student.network, given.features.shape[1])
        history = train_student(
            student.network,
            train,
            check,
            objective,
            settings.training,
            device=target,
            seed=seed,
            scratch=place,
            log=log if generation == generations else NoLog(),
        )
        if generation < generations:
            logger.info("generation %d of %d retrains the head of its teacher", generation, generations)
            train = taught_back(train, predict_logits(student.network, train.encoded, target), seed)
    return Fitted(student, history, selected_epoch(history, check))


def training_seed(params: Params) -> int:
    """The seed of the student's training: its own, or the seed of everything."""
    own = params.student.training.seed
    return params.seed if own is None else own


def _alpha(settings: Settings, validation: Dataset, answers: Path, control: Path | None) -> float | Varying:
    if settings.alpha != "auto":
        return settings.alpha
    if not len(validation):
        logger.info("alpha %s: no labelled texts validate", DOUBTED)
        return DOUBTED
    assert control is not None, "alpha: auto compares the soft labels with the control"
    rival = load_student(control)
    plain = student_logits(rival, validation, torch.device("cpu"))
    alpha = chosen_alpha(labels_of(validation), np.load(answers / VALIDATION), plain)
    shown = {TRUSTED: "shown above", DOUBTED: "not shown above", OVERRULED: "shown below"}[alpha]
    logger.info("alpha %s: on validation the soft labels are %s the control", alpha, shown)
    return alpha


def _examples(
    split: Dataset,
    tokenizer: Tokenizer,
    max_length: int,
    file: Path,
    answers: Answers | None = None,
    folds: int | None = None,
) -> Examples:
    """A split's texts, and after them those that have soft labels alone."""
    labels = labels_of(split)
    if answers is None:
        return Examples(encode_texts([split], tokenizer, max_length, file), labels)
    chosen = answers.used(folds)
    extra = answers.extra.select(chosen)
    return Examples(
        encode_texts([split, extra], tokenizer, max_length, file, words=answers.relations is not None),
        np.concatenate([labels, TASK.no_labels(len(extra))]),
        answers.logits,
        answers.features,
        answers.relations,
        np.concatenate([np.arange(len(split)), len(split) + chosen]),
    )
