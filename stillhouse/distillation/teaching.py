"""The teacher: a linear probe on the pretrained encoder, or the fine-tuned whole, whichever is better on validation."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
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
from stillhouse.distillation.vectors import Vectors, no_vectors
from stillhouse.models.teacher import Teacher
from stillhouse.params import Teacher as Settings
from stillhouse.task import TASK

logger = logging.getLogger(__name__)

TELLING = 200  # validation texts below which they do not tell a fine-tuned teacher from its probe
UNLABELLED = 5000  # texts at most that co-training looks at
BATCH = 32


@dataclass(frozen=True)
class Trained:
    """A teacher, one row of numbers a checkpoint (a probe has one, ``epoch`` 0), and what its head read."""

    teacher: Teacher
    history: list[dict[str, float]]
    vectors: Vectors


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
) -> Trained:
    """The teacher that ``settings.finetune`` asks for.

    ``auto`` fine-tunes where validation has 200 texts, and selects the probe where that is better on them;
    a teacher that a simple model shall regularise is fine-tuned in any case. Arguments as of :func:`finetune`;
    ``load`` gives the pretrained teacher, ``unlabelled`` has the column ``text``; ``scratch`` gives the folder for the
    checkpoints of the fine-tuning that begins with a teacher.

    Raises:
        TrainingDiverged: the loss or the gradient became NaN or infinite.
    """
    forced = settings.finetune is True or settings.regularise != "none"
    probed = None if forced else _probe(load(), train, validation, unlabelled, settings, device, seed)
    if probed and (settings.finetune is False or len(validation) < TELLING):
        return probed
    teacher = load()
    place = scratch(teacher)
    history = finetune(teacher, train, validation, settings, hints, device=device, seed=seed, scratch=place, log=log)
    if probed and probed.history[0]["validation_accuracy"] > max(row["validation_accuracy"] for row in history):
        logger.info("fine-tuning did not reach the linear probe on the validation texts; the probe is selected")
        return probed
    return Trained(teacher, history, no_vectors())


def _probe(
    teacher: Teacher,
    train: Dataset,
    validation: Dataset,
    unlabelled: Dataset,
    settings: Settings,
    device: torch.device,
    seed: int,
) -> Trained | None:
    """The teacher with a linear probe as its head; None where its head cannot be one."""
    teacher.model.to(device)
    labels, texts = labels_of(train), list(train["text"])
    rows = np.zeros(0, np.int64)
    if settings.cotraining and len(unlabelled):
        rows = np.sort(np.random.default_rng(seed).permutation(len(unlabelled))[:UNLABELLED])
        texts += unlabelled.select(rows)["text"]
    if (found := head_and_inputs(teacher, texts)) is None:
        return None
    head, features = found
    probe, loss = fit_probe(features[: len(labels)], labels, seed)
    if len(texts) > len(labels):
        probe = cotrain(probe, texts, features, labels, settings.cotraining)
    set_head(head, probe)
    row = {"epoch": 0.0, "loss": loss}
    if not len(validation):
        logger.info("linear probe on %d labelled texts: log loss %.4f in cross-validation", len(labels), loss)
        return Trained(teacher, [row], Vectors(features, rows))
    logits, right = teacher.logits(list(validation["text"]), BATCH), labels_of(validation)
    row["validation_loss"] = float(TASK.log_losses(TASK.probabilities(logits), right).mean())
    row |= {f"validation_{name}": value for name, value in TASK.metrics(right, TASK.decision(logits)).items()}
    message = "linear probe on %d labelled texts: %.4f on validation"
    logger.info(message, len(labels), row["validation_accuracy"])
    return Trained(teacher, [row], Vectors(features, rows))
