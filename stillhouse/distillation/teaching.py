"""The teacher: a linear probe on the pretrained encoder, or the fine-tuned whole, whichever is better on validation."""

import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from datasets import Dataset

from stillhouse.data.splits import labels_of
from stillhouse.distillation.cotraining import cotrain
from stillhouse.distillation.finetune import finetune
from stillhouse.distillation.hints import Hints
from stillhouse.distillation.log import Log
from stillhouse.distillation.probe import fit_probe, head_and_inputs, set_head
from stillhouse.evaluation.metrics import accuracy, macro_f1, softmax
from stillhouse.models.teacher import Teacher
from stillhouse.params import Teacher as Settings

logger = logging.getLogger(__name__)

TELLING = 200  # validation texts below which they do not tell a fine-tuned teacher from its probe
UNLABELLED = 5000  # texts at most that co-training looks at
BATCH = 32


def train_teacher(
    load: Callable[[], Teacher],
    train: Dataset,
    validation: Dataset,
    unlabelled: Dataset,
    settings: Settings,
    hints: Hints,
    *,
    device: torch.device,
    seed: int,
    scratch: Callable[[Teacher], Path],
    log: Log,
) -> tuple[Teacher, list[dict[str, float]]]:
    """The teacher that ``settings.finetune`` asks for.

    ``auto`` fine-tunes where validation has texts enough to tell, and keeps the probe where that is better on them;
    a teacher that a simple model shall regularise is fine-tuned in any case. Arguments as of :func:`finetune`;
    ``load`` gives the pretrained teacher, ``unlabelled`` has the column ``text``; ``scratch`` gives the folder for the
    checkpoints of the fine-tuning that begins with a teacher.

    Returns:
        The teacher, and one row of numbers a checkpoint; a probe's has ``epoch`` 0.

    Raises:
        TrainingDiverged: the loss or the gradient became NaN or infinite.
    """
    forced = settings.finetune is True or settings.regularise != "none"
    probed = None if forced else _probe(load(), train, validation, unlabelled, settings, device, seed)
    if probed and (settings.finetune is False or len(validation) < TELLING):
        return probed[0], [probed[1]]
    teacher = load()
    place = scratch(teacher)
    history = finetune(teacher, train, validation, settings, hints, device=device, seed=seed, scratch=place, log=log)
    if probed and probed[1]["validation_accuracy"] > max(row["validation_accuracy"] for row in history):
        logger.info("fine-tuning did not reach the linear probe on the validation texts; the probe is kept")
        return probed[0], [probed[1]]
    return teacher, history


def _probe(
    teacher: Teacher,
    train: Dataset,
    validation: Dataset,
    unlabelled: Dataset,
    settings: Settings,
    device: torch.device,
    seed: int,
) -> tuple[Teacher, dict[str, float]] | None:
    """The teacher with a linear probe as its head, and its numbers; None where its head cannot be one."""
    teacher.model.to(device)
    labels, texts = labels_of(train), list(train["text"])
    if settings.cotraining and len(unlabelled):
        rows = np.random.default_rng(seed).permutation(len(unlabelled))[:UNLABELLED]
        texts += unlabelled.select(np.sort(rows))["text"]
    if (found := head_and_inputs(teacher, texts)) is None:
        return None
    head, features = found
    probe = fit_probe(features[: len(labels)], labels, seed)
    if len(texts) > len(labels):
        probe = cotrain(probe, texts, features, labels, settings.cotraining)
    set_head(head, probe)
    logits, right = teacher.logits(list(validation["text"]), BATCH), labels_of(validation)
    likelihood = softmax(logits)[np.arange(len(right)), right]
    row = {
        "epoch": 0.0,
        "validation_loss": float(-np.log(np.maximum(likelihood, 1e-12)).mean()),
        "validation_accuracy": accuracy(right, logits.argmax(1)),
        "validation_macro_f1": macro_f1(right, logits.argmax(1)),
    }
    told = "linear probe on %d labelled texts: %.4f on validation"
    logger.info(told, len(labels), row["validation_accuracy"])
    return teacher, row
