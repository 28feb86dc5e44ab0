"""The audit: how often a machine's labels are right, on texts whose label is known, beside what is free."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import binomtest

from stillhouse.evaluation.significance import Gap, paired
from stillhouse.task import TASK

CONFUSIONS = 5


@dataclass(frozen=True)
class Audit:
    """The audit's result.

    Attributes:
        texts: number of texts with a known label.
        accuracy: share that the machine labels correctly.
        low: lower end of the 95 % interval of the accuracy.
        high: its upper end.
        recall: for each class the share of its texts that the machine labels correctly; None without texts.
        confusions: the most frequent mistakes: label, answer, number.
        counts: for each class the number of its texts.
        free: accuracy of what is free on the same texts; None if nothing is.
        free_name: what that is: the co-trained probe, or a finished classifier.
        gap: accuracy of the machine minus that of the probe; None without a probe.
    """

    texts: int
    accuracy: float
    low: float
    high: float
    recall: dict[str, float | None]
    confusions: list[tuple[str, str, int]]
    counts: dict[str, int]
    free: float | None
    free_name: str
    gap: Gap | None

    @property
    def is_worse(self) -> bool:
        """Whether the machine is shown to be worse than the probe."""
        return self.gap is not None and self.gap.is_loss

    @property
    def sentence(self) -> str:
        """The result in one sentence."""
        sentence = (
            f"of {self.texts} texts with a known label {100 * self.accuracy:.1f} % have the right label "
            f"({100 * self.low:.1f} to {100 * self.high:.1f})"
        )
        if self.gap is None or self.free is None:
            return sentence
        shown = "not shown to differ"
        if self.gap.is_loss or self.gap.is_gain:
            shown = f"shown to be {'worse' if self.gap.is_loss else 'better'}"
        return f"{sentence}; {self.free_name}, which is free, is right on {100 * self.free:.1f} %: {shown}"

    def content(self) -> dict[str, Any]:
        """Return the numbers for a JSON file."""
        return {
            "texts": self.texts,
            "accuracy": self.accuracy,
            "low": self.low,
            "high": self.high,
            "free": self.free,
            "free_name": self.free_name,
            "difference": self.gap and self.gap.accuracy,
            "p": self.gap and self.gap.p,
            "recall": self.recall,
            "counts": self.counts,
            "confusions": [list(one) for one in self.confusions],
        }


def audit(
    labels: np.ndarray,
    machine: np.ndarray,
    probe: np.ndarray | None,
    names: list[str],
    probe_name: str = "the co-trained probe",
) -> Audit:
    """Compare a machine's probabilities with those of the probe on texts with a known label.

    Args:
        labels: class numbers (texts,).
        machine: probabilities (texts, classes).
        probe: out-of-fold probabilities of the co-trained probe (texts, classes); None: there is no probe.
        names: the classes.
        probe_name: for messages.
    """
    answers = TASK.decision(machine)
    right = _right(labels, machine)
    free = _right(labels, probe) if probe is not None else None
    interval = binomtest(int(right.sum()), len(right)).proportion_ci(method="wilson")
    labelled, _, both = TASK.class_counts(labels, answers, len(names))
    recall = {name: float(both[n] / labelled[n]) if labelled[n] else None for n, name in enumerate(names)}
    pairs, counts = np.unique(np.stack([labels, answers])[:, right == 0], axis=1, return_counts=True)
    most = np.argsort(-counts, kind="stable")[:CONFUSIONS]
    confusions = [(names[pairs[0, k]], names[pairs[1, k]], int(counts[k])) for k in most]
    return Audit(
        texts=len(labels),
        accuracy=float(right.mean()),
        low=float(interval.low),
        high=float(interval.high),
        recall=recall,
        confusions=confusions,
        counts={name: int(labelled[n]) for n, name in enumerate(names)},
        free=None if free is None else float(free.mean()),
        free_name=probe_name,
        gap=None if free is None else paired(right, free),
    )


def _right(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    return TASK.correct(labels, TASK.decision(probabilities)).astype(np.float64)
