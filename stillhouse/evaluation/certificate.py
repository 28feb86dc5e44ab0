"""A certified threshold: how sure the student must be, so that its answers are right as often as was demanded.

The student answers a text if its probability is at least the threshold, and defers the others. The certificate says:
of all texts that it answers, at least a share ``wanted`` is right. The labelled texts are a sample, so this can be
wrong; with 95 % confidence it is right.

The method is fixed-sequence testing (A. Angelopoulos et al., "Learn then Test: Calibrating Predictive Algorithms to
Achieve Risk Control", 2021, arXiv:2110.01052; Y. Geifman and R. El-Yaniv, "Selective Classification for Deep Neural
Networks", NeurIPS 2017, arXiv:1705.08500). The thresholds are fixed before the labels are seen. They are tested from
strict to loose, each with the exact bound of Clopper and Pearson (1934), and the first that fails ends the sequence.
So several tests need no correction. The sequence begins where enough texts reach the threshold: an earlier test would
fail for a single error, or for none. That assumes that a surer answer is not wrong more often.
"""

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import betaincinv  # scipy.stats takes two seconds to load

LEVEL = 0.95  # confidence of the statement
THRESHOLDS = np.round(
    1 - np.geomspace(1e-4, 1, 81), 4
)  # of the probability, from strict to 0, where no text is deferred
LEAST_SHARE = 0.1  # of the texts that the first tested threshold must answer: with few answers one error is too many
FEW = 20  # answers
MOST_TEXTS = 10**6  # of the estimate how many are missing


@dataclass(frozen=True)
class Certificate:
    """What was found for one demand.

    Attributes:
        wanted: least share of right answers among those that are not deferred.
        texts: number of texts that it was tested on.
        min_confidence: the loosest threshold that passed; None if none did.
        answered: number of the texts that this threshold does not defer; 0 if none passed.
        errors: number of wrong answers among these.
        lowest: the lower bound of the share of right answers, with 95 % confidence; 0 if none passed.
        more: number of further texts with which a threshold would pass if the errors stay as frequent; 0 if one
            passed. None: no number of texts is enough, since the surest answers are not right so often.
    """

    wanted: float
    texts: int
    min_confidence: float | None
    answered: int
    errors: int
    lowest: float
    more: int | None

    @property
    def deferred(self) -> float:
        """Share of the texts that is deferred, 0 to 1; 1 if no threshold passed."""
        return 1 - self.answered / max(self.texts, 1)


def lower_bound(errors: np.ndarray | int, texts: np.ndarray | int) -> np.ndarray:
    """Return the one-sided 95 % lower bound of a share of right answers, 0 to 1, after Clopper and Pearson.

    Args:
        errors: number of wrong answers, at most ``texts``.
        texts: number of answers; both may be arrays of the same shape.
    """
    right = np.asarray(texts) - np.asarray(errors)
    passing: np.ndarray = betaincinv(np.maximum(right, 1), np.asarray(errors) + 1, 1 - LEVEL)
    bound: np.ndarray = np.where(right > 0, passing, 0.0)
    return bound


def texts_needed(wanted: float) -> int:
    """Return the least number of answers, all of them right, that certify ``wanted``: 59 for 0.95, 149 for 0.98."""
    return math.ceil(math.log(1 - LEVEL) / math.log(wanted))


def certify(confidence: np.ndarray, right: np.ndarray, wanted: float) -> Certificate:
    """Find the threshold with the fewest deferred texts for which the statement holds with 95 % confidence.

    Args:
        confidence: the probability of each answer, float32 (texts,). No model may have learnt from these texts.
        right: whether the answer is right, boolean (texts,).
        wanted: least share of right answers, above 0 and below 1.
    """
    order = np.argsort(-confidence, kind="stable")
    answered = np.searchsorted(-confidence[order], -THRESHOLDS.astype(confidence.dtype), side="right")
    errors = np.concatenate([[0], np.cumsum(~right[order])])[answered]
    tested = answered >= max(texts_needed(wanted), LEAST_SHARE * len(confidence))
    passes = lower_bound(errors, answered) >= wanted
    # The sequence: thresholds from the first tested one up to the one before the first failure.
    passed = np.flatnonzero(tested & np.logical_and.accumulate(passes | ~tested))
    if not len(passed):
        return Certificate(wanted, len(confidence), None, 0, 0, 0.0, _more(answered, errors, wanted, len(confidence)))
    last = passed[-1]
    bound = round(float(lower_bound(errors[last], answered[last])), 6)
    return Certificate(
        wanted, len(confidence), float(THRESHOLDS[last]), int(answered[last]), int(errors[last]), bound, 0
    )


def _more(answered: np.ndarray, errors: np.ndarray, wanted: float, texts: int) -> int | None:
    """Return about how many further texts are needed if each threshold is reached, and errs, as often as before.

    A threshold that few of the texts reach is left out: a few answers without an error show nothing.
    """
    if not texts:
        return texts_needed(wanted)
    needed = []
    for reached, wrong in {(int(n), int(e)) for n, e in zip(answered, errors, strict=True)}:
        rate = wrong / max(reached, 1)
        if reached >= min(FEW, texts) and rate < 1 - wanted:
            sizes = np.geomspace(1.1 * texts, MOST_TEXTS, 100)
            counts = np.floor(sizes * reached / texts)
            enough = np.flatnonzero(lower_bound(np.floor(counts * rate), counts) >= wanted)
            needed.append(int(np.ceil(sizes[enough[0]])) - texts if len(enough) else MOST_TEXTS)
    return min(needed) if needed else None
