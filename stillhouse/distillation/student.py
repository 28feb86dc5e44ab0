"""One student's training from files: what the control, the student and a study's trials have in common."""

import logging
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from datasets import Dataset
from tokenizers import Tokenizer

from stillhouse.data.encoded import encode_texts
from stillhouse.data.splits import label_names, labels_of, read_split
from stillhouse.distillation.answers import VALIDATION, Answers, read_answers
from stillhouse.distillation.examples import Examples
from stillhouse.distillation.generations import Unheard, taught_back
from stillhouse.distillation.log import Log
from stillhouse.distillation.objective import Distillation, HardLabels, distillation
from stillhouse.distillation.scratch import identity, scratch_folder
from stillhouse.distillation.trainer import kept_epoch, train_student
from stillhouse.distillation.trust import DOUBTED, OVERRULED, TRUSTED, chosen_alpha
from stillhouse.models.device import choose_device
from stillhouse.models.students.student import Start, Student, build_student, load_student, predict_logits
from stillhouse.params import Params, Varying
from stillhouse.params import Student as Settings

logger = logging.getLogger(__name__)

NO_LABEL = -1


def fit_student(
    stage: str,
    params: Params,
    data: Path,
    tokenizer: Tokenizer,
    *,
    device: str,
    log: Log,
    answers: Path | None = None,
    control: Path | None = None,
    start: Start | None = None,
) -> tuple[Student, list[dict[str, float]], dict[str, float]]:
    """Build the student that ``params.student`` describes and train it on the splits in ``data``.

    Args:
        stage: names the checkpoints.
        params: all parameters; those under ``student`` and the seed are used.
        data: a folder with ``train.arrow`` and ``validation.arrow``.
        tokenizer: the student's own.
        device: as in ``params.device``.
        log: told the numbers of every epoch and step.
        answers: the folder that soften wrote; None trains on the hard labels alone, as the control does.
        control: the folder of the model so trained, which ``alpha: auto`` compares the teacher with.
        start: changes the freshly initialised network, for example to what the teacher knows; None leaves it random.

    Returns:
        The student with the weights of the kept epoch, one row of numbers an epoch, and the kept epoch's row.

    Raises:
        TrainingDiverged: a NaN, an infinity or an exploding loss.
    """
    settings = params.student
    seed = params.seed if settings.training.seed is None else settings.training.seed
    target = choose_device(device)
    tokenizer.no_truncation()
    tokenizer.no_padding()
    inputs: dict[str, Path | str | None] = {
        "train": data / "train.arrow",
        "validation": data / "validation.arrow",
        "tokenizer": tokenizer.to_str(),
        "answers": answers,
        "control": control,
        "start": start.digest if start else None,
    }
    used = settings.model_dump(include=None if answers else {"network", "training"})
    scratch = scratch_folder(stage, identity(used, seed, target.type, inputs))
    splits = {name: read_split(data / f"{name}.arrow") for name in ("train", "validation")}
    given = read_answers(answers) if answers else None
    alpha = _alpha(settings, splits["validation"], answers, control) if answers else 0.0
    length = settings.network.reads
    train = _examples(splits["train"], tokenizer, length, scratch / "train", given, settings.folds if given else None)
    validation = _examples(splits["validation"], tokenizer, length, scratch / "validation")
    generations = settings.generations if answers else 1
    for generation in range(1, generations + 1):
        place = scratch / f"generation-{generation}"
        place.mkdir(exist_ok=True)
        torch.manual_seed(seed)
        student = build_student(tokenizer, label_names(splits["train"]), settings.network)
        if start:
            start.apply(student.network)
        student.network.weigh(train.encoded)
        objective: Distillation | HardLabels = HardLabels()
        if given:
            objective = distillation(settings, alpha, student.network, given.features.shape[1])
        history = train_student(
            student.network,
            train,
            validation,
            objective,
            settings.training,
            device=target,
            seed=seed,
            scratch=place,
            log=log if generation == generations else Unheard(),
        )
        if generation < generations:
            logger.info("generation %d of %d teaches its teacher", generation, generations)
            train = taught_back(train, predict_logits(student.network, train.encoded, target), seed)
    return student, history, kept_epoch(history, len(splits["validation"]))


def _alpha(settings: Settings, validation: Dataset, answers: Path, control: Path | None) -> float | Varying:
    if settings.alpha != "auto":
        return settings.alpha
    assert control is not None, "alpha: auto compares the teacher with the control"
    rival = load_student(control)
    with TemporaryDirectory() as scratch:
        encoded = encode_texts([validation], rival.tokenizer, rival.settings.reads, Path(scratch) / "ids")
        plain = predict_logits(rival.network, encoded, torch.device("cpu"))
    alpha = chosen_alpha(labels_of(validation), np.load(answers / VALIDATION), plain)
    shown = {TRUSTED: "shown above", DOUBTED: "not shown above", OVERRULED: "shown below"}[alpha]
    logger.info("alpha %s: on validation the teacher is %s the control", alpha, shown)
    return alpha


def _examples(
    split: Dataset,
    tokenizer: Tokenizer,
    max_length: int,
    file: Path,
    answers: Answers | None = None,
    folds: int | None = None,
) -> Examples:
    """A split's texts, and after them those that only the teacher labelled."""
    labels = labels_of(split)
    if answers is None:
        return Examples(encode_texts([split], tokenizer, max_length, file), labels)
    chosen = answers.used(folds)
    extra = answers.extra.select(chosen)
    return Examples(
        encode_texts([split, extra], tokenizer, max_length, file, words=answers.relations is not None),
        np.concatenate([labels, np.full(len(extra), NO_LABEL)]),
        answers.logits,
        answers.features,
        answers.relations,
        np.concatenate([np.arange(len(split)), len(split) + chosen]),
    )
