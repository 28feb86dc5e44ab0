"""Trains a teacher: a linear probe on the pretrained encoder, or a fine-tuned model. Validation selects one.

A finished classifier is not trained.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from datasets import Dataset

from stillhouse.data.splits import label_names, labels_of
from stillhouse.distillation.cotraining import bag_of_words, cotrain
from stillhouse.distillation.finetune import finetune
from stillhouse.distillation.hints import Hints
from stillhouse.distillation.log import Log
from stillhouse.distillation.machine import use_machine_labels, with_machine_labels
from stillhouse.distillation.material import cotrained_rows, material_of
from stillhouse.distillation.parallel.nodes import node_count
from stillhouse.distillation.probe import fit_probe, head_and_inputs, head_weights, out_of_fold, set_head
from stillhouse.distillation.vectors import Vectors, no_vectors
from stillhouse.errors import BadInput
from stillhouse.labelling.answers import MachineLabels
from stillhouse.models.device import leave_gpu
from stillhouse.models.teacher import Teacher
from stillhouse.params import OneTeacher as Settings
from stillhouse.task import TASK

logger = logging.getLogger(__name__)

MIN_TEXTS = 200  # fewer validation texts cannot compare a fine-tuned teacher with its probe
BATCH = 32
MEASURED = 2000  # most labelled texts on which a finished classifier is measured


@dataclass(frozen=True)
class Trained:
    """A trained teacher.

    Attributes:
        teacher: has the weights of the selected checkpoint.
        history: the metrics of each checkpoint; of a probe one row, with ``epoch`` 0.
        vectors: the inputs of the head; empty for a teacher that is no probe.
        without_machine: the weights of the head of a probe without the machine's labels; None if it is the same.
    """

    teacher: Teacher
    history: list[dict[str, float]]
    vectors: Vectors
    without_machine: dict[str, torch.Tensor] | None = None


def train_teacher(
    load: Callable[[], Teacher],
    train: Dataset,
    validation: Dataset,
    unlabelled: Dataset,
    machine: MachineLabels,
    weight: float | str,
    settings: Settings,
    hints: Hints,
    *,
    device: torch.device,
    seed: int,
    scratch: Callable[[Teacher], Path],
    log: Log,
    processes: int = 1,
) -> Trained:
    """Train the teacher according to ``settings.finetune``.

    True fine-tunes, False fits a probe. ``auto`` fits a probe; if validation has 200 texts or more, it also fine-tunes
    and selects the probe only if that is better on validation. A teacher with ``settings.regularise``, or without a
    suitable head for a probe, is always fine-tuned. ``never`` returns the finished classifier as it is.

    Args:
        load: returns the pretrained teacher, or the finished classifier.
        train: has the columns ``text`` and ``label``.
        validation: has the same columns. It may be empty.
        unlabelled: has the column ``text``, for co-training.
        machine: labels of a machine for some of these texts. In fine-tuning each counts as a label.
        weight: of these labels for a probe, or ``auto``.
        settings: of this teacher.
        hints: of the simple model if ``settings.regularise`` needs one.
        device: the device for the training.
        seed: of everything random.
        scratch: returns the folder for the checkpoints, given the teacher before fine-tuning.
        log: gets the metrics of each step.
        processes: number of processes that fine-tune together.

    Raises:
        TrainingDiverged: the loss or the gradient became NaN or infinite.
        BadInput: the memory of the GPU does not suffice, or ``processes`` does not divide the batch size, or is 1 with
            ``settings.fsdp``.
    """
    if settings.fsdp and processes * node_count() == 1:
        raise BadInput("teacher.fsdp divides the teacher between processes. Set flow.processes to 2 or more.")
    if settings.finetune == "never":
        return _unchanged(load(), train, validation, device)
    forced = settings.finetune is True or settings.regularise != "none"
    probed = None if forced else _probe(load(), train, validation, unlabelled, machine, weight, settings, device, seed)
    if probed and (settings.finetune is False or len(validation) < MIN_TEXTS):
        return probed
    if probed:
        leave_gpu(probed.teacher.model)
    teacher = load()
    folder = scratch(teacher)
    if len(machine.unlabelled):
        train = with_machine_labels(train, unlabelled, machine)
    history = finetune(
        teacher,
        train,
        validation,
        settings,
        hints,
        device=device,
        seed=seed,
        scratch=folder,
        log=log,
        processes=processes,
    )
    if probed and probed.history[0]["validation_accuracy"] > max(row["validation_accuracy"] for row in history):
        logger.info("the linear probe is better than fine-tuning on the validation texts; the probe is selected")
        probed.teacher.model.to(device)
        return probed
    return Trained(teacher, history, no_vectors(probed.vectors.unseen if probed else None))


def _probe(
    teacher: Teacher,
    train: Dataset,
    validation: Dataset,
    unlabelled: Dataset,
    machine: MachineLabels,
    weight: float | str,
    settings: Settings,
    device: torch.device,
    seed: int,
) -> Trained | None:
    """Return the teacher with a linear probe as its head; None if it has no suitable head."""
    teacher.model.to(device)
    labels, texts = labels_of(train), list(train["text"])
    rows = cotrained_rows(len(unlabelled), settings.cotraining, machine.unlabelled.rows, seed)
    if len(rows):
        texts += unlabelled.select(rows)["text"]
    if (found := head_and_inputs(teacher, texts)) is None:
        return None
    (head, features), row, without = found, {"epoch": 0.0}, None
    if len(machine.unlabelled):
        material = material_of(texts, features, labels, len(label_names(train)), settings.cotraining, seed)
        used = use_machine_labels(material, machine, rows, weight)
        probe, loss = used.probe, used.loss
        without = head_weights(head, used.without) if used.weight else None
        row["machine_labels"], row["machine_weight"] = float(len(machine.unlabelled)), used.weight
    else:
        probe, loss = fit_probe(features[: len(labels)], labels, seed)
        if settings.cotraining and len(texts) > len(labels) and (words := bag_of_words(texts)) is not None:
            probe = cotrain(probe, words, features, labels, settings.cotraining)
    set_head(head, probe)
    row["loss"] = loss
    vectors = Vectors(features, rows, out_of_fold(features[: len(labels)], labels, len(label_names(train)), seed))
    if not len(validation):
        logger.info("linear probe on %d labelled texts: log loss %.4f in cross-validation", len(labels), loss)
        return Trained(teacher, [row], vectors, without)
    row |= _validated(teacher, validation)
    message = "linear probe on %d labelled texts: %.4f on validation"
    logger.info(message, len(labels), row["validation_accuracy"])
    return Trained(teacher, [row], vectors, without)


def _unchanged(teacher: Teacher, train: Dataset, validation: Dataset, device: torch.device) -> Trained:
    """Measure a finished classifier. The labels decide nothing about it."""
    teacher.model.to(device)
    some = train.select(range(min(len(train), MEASURED)))
    logits, labels = teacher.logits(list(some["text"]), BATCH), labels_of(some)
    loss = float(TASK.log_losses(TASK.probabilities(logits), labels).mean())
    row = {"epoch": 0.0, "loss": loss, "train_accuracy": TASK.accuracy(labels, TASK.decision(logits))}
    message = "finished classifier, not trained: %.4f on %d labelled texts"
    logger.info(message, row["train_accuracy"], len(some))
    return Trained(teacher, [row | (_validated(teacher, validation) if len(validation) else {})], no_vectors())


def _validated(teacher: Teacher, validation: Dataset) -> dict[str, float]:
    logits, correct = teacher.logits(list(validation["text"]), BATCH), labels_of(validation)
    loss = float(TASK.log_losses(TASK.probabilities(logits), correct).mean())
    metrics = TASK.metrics(correct, TASK.decision(logits))
    return {"validation_loss": loss, **{f"validation_{name}": value for name, value in metrics.items()}}
