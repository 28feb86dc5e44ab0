"""Model distillation with few labels: a simple model's answers to text without labels improve the complex one.

The two see a text differently, one its words, the other its meaning, and so each corrects the other's mistakes
(A. Blum and T. Mitchell, "Combining Labeled and Unlabeled Data with Co-Training", COLT 1998); the simple model's soft
answers regularise the complex one, as in reversed distillation (Yuan 2020).
"""

from collections.abc import Sequence

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from stillhouse.data.terms import analyser
from stillhouse.distillation.logistic import fit_soft, probabilities
from stillhouse.task import TASK

WORDS = 50_000  # terms (words, pairs of words), the most frequent: more cost time and gave nothing
SURE = 0.8  # share of the simple model's answers that are listened to, the surest


def cotrain(
    probe: LogisticRegression,
    texts: Sequence[str],
    features: np.ndarray,
    labels: np.ndarray,
    rounds: int,
) -> LogisticRegression:
    """The probe after ``rounds`` in which it teaches a bag of words, and learns from it.

    Args:
        probe: fitted on the labelled texts.
        texts: the labelled texts, and after them those without a label.
        features: what the probe reads of them, ``(texts, size)``.
        labels: class numbers of the labelled ones.
        rounds: how often; 0 leaves the probe as it is.
    """
    classes, count = int(labels.max()) + 1, len(labels)
    known = TASK.targets(labels, classes)
    if not rounds:
        return probe
    bag = TfidfVectorizer(token_pattern=None, sublinear_tf=True, analyzer=analyser(texts), min_df=2, max_features=WORDS)
    try:
        words = bag.fit_transform(texts)
    except ValueError:  # no term is in two texts, so that none says anything about another text
        return probe
    for _ in range(rounds):
        taught = probabilities(probe, features, classes)
        taught[:count] = known
        answers = probabilities(fit_soft(words, taught), words, classes)
        answers[:count] = known
        sureness = TASK.confidence(answers)
        sureness[:count] = 1.0
        kept = sureness >= np.quantile(sureness[count:], 1 - SURE)
        probe = fit_soft(features[kept], answers[kept])
    return probe
