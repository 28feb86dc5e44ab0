"""Whether what was certified for a model still holds, from answers that were drawn at random and labelled since."""

from dataclasses import dataclass

import numpy as np

from stillhouse.evaluation.certificate import lower_bound
from stillhouse.evaluation.confidence import LABELS
from stillhouse.evaluation.display import percent


@dataclass(frozen=True)
class Promise:
    """A promise, and the answers that test it.

    Attributes:
        by: what an answer is compared with, ``labels`` or ``teacher``.
        wanted: the promised least share of right answers among those that are not deferred, 0 to 1.
        answers: number of labelled answers that were not deferred.
        errors: number of wrong ones.
    """

    by: str
    wanted: float
    answers: int
    errors: int

    @classmethod
    def of(cls, right: np.ndarray, wanted: float, by: str) -> "Promise":
        """Count the answers; ``right`` (answers,) says for each whether it is right."""
        return cls(by, wanted, len(right), int((~right).sum()))

    @property
    def low(self) -> float:
        """The one-sided 95 % lower bound of the share of right answers (Clopper and Pearson)."""
        return float(lower_bound(self.errors, self.answers))

    @property
    def high(self) -> float:
        """The one-sided 95 % upper bound of the share of right answers."""
        return 1 - float(lower_bound(self.answers - self.errors, self.answers))

    @property
    def broken(self) -> bool:
        """Whether the share of right answers is shown to be lower than promised.

        Where the promise holds, one audit in twenty at most finds it broken.
        """
        return self.high < self.wanted

    @property
    def holds(self) -> bool:
        """Whether the share of right answers is shown to be as high as promised."""
        return self.low >= self.wanted

    @property
    def sentence(self) -> str:
        """The result as a sentence."""
        right = "right" if self.by == LABELS else "the teacher's decision"
        found = "still holds" if self.holds else "is broken" if self.broken else "is neither shown to hold nor broken"
        return (
            f"The promise {found}: at least {percent(self.wanted)} of the answers are {right}. Of {self.answers} "
            f"audited answers {self.errors} are wrong. Of all answers at least {percent(self.low)} are {right}, and at "
            f"most {percent(self.high)}, each with 95 % confidence."
        )
