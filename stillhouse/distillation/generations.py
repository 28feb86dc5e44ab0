"""Generations of students: a student retrains the teacher's head, and both label the texts for the next student.

The student uses the words of a text, the teacher its meaning. So each corrects mistakes of the other (T. Furlanello
et al., "Born-Again Neural Networks", ICML 2018, arXiv:1805.04770; Q. Xie et al., "Self-Training with Noisy Student",
CVPR 2020, arXiv:1911.04252).
"""

from dataclasses import replace

import numpy as np

from stillhouse.distillation.examples import Examples
from stillhouse.task import TASK

TEXTS = 20_000  # most texts for retraining the head; the head then labels all texts


def next_generation(examples: Examples, student: np.ndarray, seed: int) -> Examples:
    """Return ``examples`` with the soft labels for the next student.

    1. The targets are the mean of this student's logits and the soft labels that it learnt from. The target of a
       labelled text is its label.
    2. The teacher's head is retrained on these targets.
    3. The new soft labels are the mean of the logits of the retrained teacher and of this student. A labelled text
       keeps its label.

    Args:
        examples: texts with soft labels, and with the inputs of the teacher's head as features.
        student: logits of this student, ``(texts, classes)``.
        seed: selects the texts for retraining if there are more than ``TEXTS``.
    """
    from stillhouse.distillation.logistic import (
        fit_soft,
        probabilities,
    )  # loading scikit-learn takes a second, and few runs need it

    assert examples.logits is not None and examples.features is not None and examples.signal_rows is not None
    labelled = np.flatnonzero(~TASK.unlabelled(examples.labels))
    known = TASK.targets(examples.labels[labelled], student.shape[1])
    targets = TASK.probabilities((student + examples.logits[examples.signal_rows]) / 2)
    targets[labelled] = known
    features = np.asarray(examples.features[examples.signal_rows], np.float32)
    rows = np.random.default_rng(seed).permutation(len(targets))[:TEXTS]
    rows = np.union1d(rows, labelled[:TEXTS])
    retrained = probabilities(fit_soft(features[rows], targets[rows]), features, student.shape[1])
    joined = TASK.probabilities((TASK.logits(retrained) + student) / 2)
    joined[labelled] = known
    logits = np.array(examples.logits)
    logits[examples.signal_rows] = TASK.logits(joined)
    return replace(examples, logits=logits)
