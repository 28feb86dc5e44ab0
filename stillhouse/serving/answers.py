"""From probabilities to answers. A registered model carries a copy of this file."""

from dataclasses import dataclass

import numpy as np

from stillhouse.task import TASK


@dataclass(frozen=True)
class Answers:
    """The answers to some texts, in their order.

    Attributes:
        labels: names of classes, objects of shape ``(texts,)``.
        probabilities: of these labels, float32 of shape ``(texts,)``.
        deferred: whether the probability is below the threshold, boolean of shape ``(texts,)``. A person or a larger
            model should then answer.
    """

    labels: np.ndarray
    probabilities: np.ndarray
    deferred: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)


def decide(probabilities: np.ndarray, classes: np.ndarray, min_confidence: float = 0.0) -> Answers:
    """Return the answer to each text. Every way to predict calls this function.

    Args:
        probabilities: of shape ``(texts, classes)``.
        classes: the names of the classes, of shape ``(classes,)``, in the order of the columns.
        min_confidence: the least probability of an answer that is not deferred, 0 to 1.
    """
    confidence = TASK.confidence(probabilities)
    return Answers(classes[TASK.decision(probabilities)], confidence, confidence < np.float32(min_confidence))
