"""From probabilities to answers. A registered model carries a copy of this file."""

import numpy as np

from stillhouse.task import TASK


def decide(probabilities: np.ndarray, classes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The answer to each text: a label and its probability.

    ``Classifier.predict``, ``stillhouse predict``, ``stillhouse score`` and the MLflow model all call this function.

    Args:
        probabilities: of shape ``(texts, classes)``.
        classes: the names of the classes, of shape ``(classes,)``, in the order of the columns.

    Returns:
        The labels, of the type of ``classes``, and their probabilities, each of shape ``(texts,)``.
    """
    return classes[TASK.decision(probabilities)], TASK.confidence(probabilities)
