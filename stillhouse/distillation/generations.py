"""Both directions in turn: a student retrains its teacher's head, and both of them label the texts of the next student.

The student sees a text's words, the teacher its meaning, and each corrects mistakes of the other (T. Furlanello
et al., "Born-Again Neural Networks", ICML 2018, arXiv:1805.04770; Q. Xie et al., "Self-Training with Noisy Student",
CVPR 2020, arXiv:1911.04252).
"""

from dataclasses import replace

import numpy as np

from stillhouse.distillation.examples import Examples
from stillhouse.task import TASK

TEXTS = 20_000  # at most that the head learns from; its answers go to all


def taught_back(examples: Examples, student: np.ndarray, seed: int) -> Examples:
    """``examples`` with the soft labels for the next student.

    They are the mean of the logits of this student and of a teacher whose head is retrained: on the labels, and on the
    mean of this student's answers and the soft labels that it learnt from. A labelled text has its label.

    Args:
        examples: texts with soft labels, and what the teacher's head reads.
        student: the student's logits to them, ``(texts, classes)``.
        seed: of the texts that are learnt from, where there are very many.
    """
    from stillhouse.distillation.logistic import fit_soft, probabilities  # scikit-learn: a second, for few runs

    assert examples.logits is not None and examples.features is not None and examples.stored is not None
    labelled = np.flatnonzero(~TASK.unlabelled(examples.labels))
    known = TASK.targets(examples.labels[labelled], student.shape[1])
    answers = TASK.probabilities((student + examples.logits[examples.stored]) / 2)
    answers[labelled] = known
    features = np.asarray(examples.features[examples.stored], np.float32)
    rows = np.random.default_rng(seed).permutation(len(answers))[:TEXTS]
    rows = np.union1d(rows, labelled[:TEXTS])
    retrained = probabilities(fit_soft(features[rows], answers[rows]), features, student.shape[1])
    joined = TASK.probabilities((TASK.logits(retrained) + student) / 2)
    joined[labelled] = known
    logits = np.array(examples.logits)
    logits[examples.stored] = TASK.logits(joined)
    return replace(examples, logits=logits)
