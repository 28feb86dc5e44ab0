"""What a machine's labels (of a language model, or from a file) add to the teacher's probe.

The machine errs. Its answers for texts whose label is known show how often, and so calibrate its probabilities. The
calibrated probabilities then are evidence in co-training, as the answers of an independent labeller (A. Dawid and
A. Skene, "Maximum Likelihood Estimation of Observer Error-Rates Using the EM Algorithm", 1979). They are left
out where cross-validation on the labelled texts shows them to do harm.
"""

import logging
from dataclasses import dataclass

import numpy as np
from datasets import Dataset, concatenate_datasets
from sklearn.linear_model import LogisticRegression

from stillhouse.distillation.material import Material
from stillhouse.evaluation.significance import p_value, paired
from stillhouse.labelling.answers import MachineLabels
from stillhouse.labelling.calibration import calibration_of
from stillhouse.task import TASK

logger = logging.getLogger(__name__)

FULL = 1.0  # weight of an independent labeller


def evidence_of(texts: int, positions: np.ndarray, answers: np.ndarray, weight: float) -> np.ndarray:
    """Return evidence for ``texts`` texts, (texts, classes): the answers to the power of ``weight``, else ones.

    Args:
        texts: number of texts.
        positions: of the answered texts among them.
        answers: calibrated probabilities of the answered texts.
        weight: 0 is no evidence, 1 that of an independent labeller.
    """
    evidence = np.ones((texts, answers.shape[1]))
    evidence[positions] = answers**weight
    return evidence


@dataclass(frozen=True)
class Used:
    """A probe that learnt from a machine's labels.

    Attributes:
        probe: with the labels; the same as ``without`` if their weight is 0.
        without: a probe without the labels.
        weight: of the labels.
        loss: cross-validated log loss with that weight.
    """

    probe: LogisticRegression
    without: LogisticRegression
    weight: float
    loss: float


def use_machine_labels(material: Material, machine: MachineLabels, rows: np.ndarray, weight: float | str) -> Used:
    """Fit and co-train a probe on the labelled texts and the machine's labels.

    Args:
        material: the labelled texts, then texts without a label.
        machine: the machine's answers.
        rows: of the texts without a label in ``unlabelled``, ascending; all answered texts are among them.
        weight: of these labels. ``auto``: 1, or 0 where cross-validation on the labelled texts shows them to do harm.
    """
    known, found = machine.train, machine.unlabelled.probabilities
    calibration = calibration_of(known.probabilities, material.labels[known.rows], found)
    answers = calibration(found)
    positions = len(material.labels) + np.searchsorted(rows, machine.unlabelled.rows)

    def evidence(power: float) -> np.ndarray | None:
        return evidence_of(len(material.features), positions, answers, power) if power else None

    chosen = FULL if weight == "auto" else float(weight)
    predicted = material.out_of_fold(evidence(chosen), first=positions)
    if weight == "auto":
        base = material.out_of_fold(first=positions)
        right = [TASK.correct(material.labels, TASK.decision(found)).astype(float) for found in (predicted, base)]
        gap = paired(right[0], right[1])
        if gap.is_loss:
            chosen, predicted = 0.0, base
        logger.info(
            "accuracy in cross-validation: %.4f without the added labels, %.4f with them (%s)",
            right[1].mean(),
            right[0].mean(),
            p_value(gap.p),
        )
    bias = "none" if calibration.prior is None else "removed"
    message = "%d added labels: temperature %.2f, bias towards classes: %s, weight %g"
    logger.info(message, len(positions), calibration.temperature, bias, chosen)
    loss = TASK.log_losses(predicted, material.labels)
    without = material.probe()
    return Used(material.probe(evidence(chosen)) if chosen else without, without, chosen, float(loss.mean()))


def machine_evidence(machine: MachineLabels, labels: np.ndarray, weight: float) -> np.ndarray:
    """Return the calibrated answers for texts without a label to the power of ``weight``, (texts, classes).

    Args:
        machine: the machine's answers.
        labels: class numbers of the labelled texts (texts,).
        weight: 0 is no evidence, 1 that of an independent labeller.
    """
    known, found = machine.train, machine.unlabelled.probabilities
    evidence: np.ndarray = calibration_of(known.probabilities, labels[known.rows], found)(found) ** weight
    return evidence


def with_machine_labels(train: Dataset, unlabelled: Dataset, machine: MachineLabels) -> Dataset:
    """Return ``train`` and the machine's decisions for texts of ``unlabelled``, for fine-tuning."""
    labels = TASK.decision(machine.unlabelled.probabilities)
    added = unlabelled.select(machine.unlabelled.rows).select_columns("text").add_column("label", labels)
    return concatenate_datasets([train, added.cast(train.features)])
