"""Both directions in turn: a student's answers retrain its teacher's head, and that teacher teaches the next student.

The student sees a text's words, the teacher its meaning, and each corrects what the other learnt wrongly (T. Furlanello
et al., "Born-Again Neural Networks", ICML 2018, arXiv:1805.04770; Q. Xie et al., "Self-Training with Noisy Student",
CVPR 2020, arXiv:1911.04252).
"""

from dataclasses import replace

import numpy as np

from stillhouse.distillation.examples import Examples
from stillhouse.evaluation.metrics import softmax

TEXTS = 20_000  # at most that the head learns from; its answers go to all


def taught_back(examples: Examples, student: np.ndarray, seed: int) -> Examples:
    """``examples`` with the answers of a teacher whose head learnt from the student, and from the labels.

    Args:
        examples: texts with the teacher's logits and pooled states.
        student: the student's logits to them, ``(texts, classes)``.
        seed: of the texts that are learnt from, where there are very many.
    """
    from stillhouse.distillation.logistic import fit_soft, probabilities  # scikit-learn: a second, for few runs

    assert examples.logits is not None and examples.features is not None and examples.stored is not None
    labelled = np.flatnonzero(examples.labels >= 0)
    known = np.eye(student.shape[1])[examples.labels[labelled]]
    answers = softmax(student)
    answers[labelled] = known
    features = np.asarray(examples.features[examples.stored], np.float32)
    rows = np.random.default_rng(seed).permutation(len(answers))[:TEXTS]
    rows = np.union1d(rows, labelled[:TEXTS])
    given = probabilities(fit_soft(features[rows], answers[rows]), features, student.shape[1])
    given[labelled] = known
    logits = np.array(examples.logits)
    logits[examples.stored] = np.log(np.maximum(given, 1e-6))
    return replace(examples, logits=logits)
