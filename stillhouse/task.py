"""The task type: how labels are stored, what is learnt from them, and how scores become a decision.

No other module chooses a class. ``SingleLabel`` (each text has exactly one class) is the only task type. A further one
has the same methods, and the other modules rely on these conventions:

- Labels and decisions are arrays of the same form with one row a text. Other modules select rows and call the methods
  below; they do not read a row. Single-label rows are class numbers; multi-label rows would be 0 or 1 for each class,
  ordered rows class numbers again.
- Scores (logits or probabilities) are floating-point arrays ``(texts, classes)``. Multi-label classification would use
  a sigmoid for each class and a threshold, ordered classes a cumulative link.
- ``soft_loss`` is Hinton's loss and belongs to the task type. ``hinton`` and the regularised teachers call it. The
  other losses on logits (``mse``, ``standardised``, ``dkd``, ``dist``) are published formulas for single-label logits:
  they take a softmax over the classes, or centre the logits of a text. They are not valid for another task type.
  ``features`` and ``minilm`` compare states and do not depend on the task type.

Served models use this module, so it imports NumPy alone; the losses import PyTorch when they are called. For the same
reason the metrics do not use scikit-learn.
"""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Literal, TypeVar

import numpy as np

if TYPE_CHECKING:
    import torch

Array = TypeVar("Array", np.ndarray, "torch.Tensor")

NO_LABEL = -1  # the row of a text without a label
LEAST = 1e-6  # probability, so that its logit is finite
RANKED = 3  # most probable classes of a text that a learner of hard labels gets
SHARE = 0.05  # of the probability, above which it gets them


class SingleLabel:
    """Each text has exactly one of the classes. Labels and decisions are class numbers, int64 of shape ``(texts,)``."""

    name = "single_label"
    problem_type = "single_label_classification"  # the name in transformers' configurations, which sets their loss

    # Labels

    def encode(self, labels: Iterable[str], classes: Sequence[str]) -> np.ndarray:
        """Class numbers of ``labels``, int64 of shape ``(texts,)``. Raises KeyError: a label is not in ``classes``."""
        numbers = {name: number for number, name in enumerate(classes)}
        return np.fromiter((numbers[label] for label in labels), dtype=np.int64)

    def decode(self, labels: np.ndarray, classes: Sequence[str]) -> list[str]:
        """The names of labels or decisions, one a text."""
        return [classes[number] for number in labels]

    def no_labels(self, texts: int) -> np.ndarray:
        """The labels of texts that have none, ``(texts,)``."""
        return np.full(texts, NO_LABEL)

    def unlabelled(self, labels: Array) -> Array:
        """Which texts have no label, boolean of shape ``(texts,)``."""
        return labels < 0

    def targets(self, labels: np.ndarray, classes: int) -> np.ndarray:
        """The probabilities that labels stand for, float64 of shape ``(texts, classes)``; every text has a label."""
        targets: np.ndarray = np.eye(classes)[labels]
        return targets

    def weighted_labels(self, probabilities: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Soft labels for a learner of weighted hard labels.

        Args:
            probabilities: ``(texts, classes)``.

        Returns:
            Three arrays of shape ``(examples,)``: the row of the text, its label, and the weight. A text has an example
            for each of its three most probable classes with a probability above 0.05, which is the weight.
        """
        likely = np.argsort(-probabilities, axis=1, kind="stable")[:, :RANKED]
        rows = np.repeat(np.arange(len(probabilities)), likely.shape[1])
        weights = probabilities[rows, likely.ravel()]
        used = weights > SHARE
        return rows[used], likely.ravel()[used], weights[used]

    # Losses

    def hard_loss(
        self, logits: "torch.Tensor", labels: "torch.Tensor", reduction: Literal["mean", "none"] = "none"
    ) -> "torch.Tensor":
        """Cross-entropy of each text, ``(texts,)``, 0 for a text without a label; or the mean over the labelled texts.

        Args:
            logits: ``(texts, classes)``.
            labels: int64 of shape ``(texts,)``.
            reduction: ``mean`` returns a scalar, NaN where no text has a label.
        """
        from torch.nn import functional

        return functional.cross_entropy(logits, labels, ignore_index=NO_LABEL, reduction=reduction)

    def soft_loss(self, student: "torch.Tensor", teacher: "torch.Tensor", temperature: float) -> "torch.Tensor":
        """Kullback-Leibler divergence of the softened student from the softened teacher, times T squared.

        G. Hinton, O. Vinyals and J. Dean, "Distilling the Knowledge in a Neural Network", 2015, arXiv:1503.02531. The
        factor keeps the size of the gradient as the temperature changes.

        Args:
            student: logits, ``(texts, classes)``.
            teacher: logits, ``(texts, classes)``.
            temperature: > 0; larger is softer.

        Returns:
            ``(texts,)``, each >= 0; 0 where the two rows differ by a constant.
        """
        from torch.nn import functional

        soft_student = functional.log_softmax(student / temperature, dim=1)
        soft_teacher = functional.log_softmax(teacher / temperature, dim=1)
        divergence = functional.kl_div(soft_student, soft_teacher, log_target=True, reduction="none").sum(1)
        return divergence * temperature**2

    # Decisions

    def probabilities(self, logits: np.ndarray) -> np.ndarray:
        """Softmax over the last axis; the same shape and type as ``logits``."""
        exponents: np.ndarray = np.exp(logits - logits.max(-1, keepdims=True))
        exponents /= exponents.sum(-1, keepdims=True)
        return exponents

    def logits(self, probabilities: np.ndarray) -> np.ndarray:
        """Logits with these probabilities, of the same shape; a probability below 1e-6 counts as 1e-6."""
        logits: np.ndarray = np.log(np.maximum(probabilities, LEAST))
        return logits

    def decision(self, scores: Array) -> Array:
        """The chosen class of each text, ``(texts,)``, from probabilities or logits ``(texts, classes)``."""
        chosen: Array = scores.argmax(-1)
        return chosen

    def confidence(self, probabilities: np.ndarray) -> np.ndarray:
        """The probability of the chosen class, ``(texts,)``."""
        highest: np.ndarray = probabilities.max(-1)
        return highest

    # Metrics

    def correct(self, labels: Array, decisions: Array) -> Array:
        """Which texts have the right decision, boolean of shape ``(texts,)``; also compares two models' decisions."""
        equal: Array = labels == decisions
        return equal

    def metrics(self, labels: np.ndarray, decisions: np.ndarray) -> dict[str, float]:
        """``accuracy`` and ``macro_f1``, each 0 to 1."""
        return {"accuracy": self.accuracy(labels, decisions), "macro_f1": self.macro_f1(labels, decisions)}

    def accuracy(self, labels: np.ndarray, decisions: np.ndarray) -> float:
        """Share of right decisions, 0 to 1."""
        return float(self.correct(np.asarray(labels), np.asarray(decisions)).mean())

    def agreement(self, one: np.ndarray, other: np.ndarray) -> float:
        """Share of texts on which two models decide the same, 0 to 1 (fidelity: Stanton et al. 2021)."""
        return self.accuracy(one, other)

    def macro_f1(self, labels: np.ndarray, decisions: np.ndarray) -> float:
        """Mean over the classes of ``labels`` of the harmonic mean of precision and recall, 0 to 1."""
        classes = int(max(labels.max(), decisions.max())) + 1
        labelled, decided, right = self.class_counts(labels, decisions, classes)
        there = labelled > 0
        return float((2 * right[there] / (labelled + decided)[there]).mean())

    def calibration_error(self, labels: np.ndarray, probabilities: np.ndarray, bins: int = 15) -> float:
        """Expected calibration error, 0 to 1: how far confidence is from accuracy.

        C. Guo et al., "On Calibration of Modern Neural Networks", ICML 2017, with equal-width bins.

        Args:
            labels: class numbers, ``(texts,)``.
            probabilities: ``(texts, classes)``, rows summing to 1.
            bins: how many.
        """
        confidence, right = self.confidence(probabilities), self.correct(labels, self.decision(probabilities))
        index = np.minimum((confidence * bins).astype(int), bins - 1)
        gaps = [
            abs(right[index == b].mean() - confidence[index == b].mean()) * (index == b).mean()
            for b in np.unique(index)
        ]
        return float(np.sum(gaps))

    def log_losses(self, probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Negative log-likelihood of each label, ``(texts,)``; a probability below 1e-12 counts as 1e-12."""
        likelihood = probabilities[np.arange(len(labels)), labels]
        losses: np.ndarray = -np.log(np.maximum(likelihood, 1e-12))
        return losses

    def class_counts(
        self, labels: np.ndarray, decisions: np.ndarray, classes: int
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """For each class the texts with this label, with this decision, and with both, each ``(classes,)``.

        A decision of -1 names no class.
        """
        named, both = decisions[decisions >= 0], labels[self.correct(labels, decisions)]
        labelled, decided, right = (np.bincount(rows, minlength=classes) for rows in (labels, named, both))
        return labelled, decided, right

    def confusion(self, labels: np.ndarray, decisions: np.ndarray, classes: int) -> np.ndarray:
        """Number of texts with each label (row) and decision (column), ``(classes, classes)``."""
        counts = np.zeros((classes, classes), dtype=int)
        np.add.at(counts, (labels, decisions), 1)
        return counts

    def most_frequent(self, labels: np.ndarray, classes: int) -> int:
        """The decision, among the first ``classes``, that is right for most of ``labels`` (texts,)."""
        return int(np.bincount(labels, minlength=classes)[:classes].argmax())


TASK = SingleLabel()
