"""Doubtful labels: those of training texts that two models contradict, neither of which was trained on the text.

One model reads the teacher's vector of a text, the other its words, so they seldom make the same mistake. A label is
the more doubtful, the lower its probability is below that of the most probable class. This is confident learning's
ranking by the normalised margin (C. Northcutt, L. Jiang and I. Chuang, "Confident Learning: Estimating Uncertainty in
Dataset Labels", JAIR 2021, arXiv:1911.00068), with the mean of two models.
"""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from sklearn.model_selection import KFold
from sklearn.naive_bayes import ComplementNB

from stillhouse.data.keys import text_key
from stillhouse.distillation.cotraining import bag_of_words
from stillhouse.distillation.probe import FOLDS
from stillhouse.task import TASK

COLUMNS = ("id", "text", "label", "given", "guess", "margin")


@dataclass(frozen=True)
class Doubtful:
    """Doubtful labels, the most doubtful first.

    Attributes:
        rows: int64 (labels,), rows of the training texts.
        guesses: their most probable classes (labels,).
        margins: probability of the given label minus that of the guess (labels,), below 0.
        checked: number of training texts; 0 if no model could judge them.
    """

    rows: np.ndarray
    guesses: np.ndarray
    margins: np.ndarray
    checked: int


def doubtful_labels(texts: Sequence[str], labels: np.ndarray, unseen: np.ndarray, seed: int) -> Doubtful:
    """Find the labels that both models contradict.

    Args:
        texts: the training texts.
        labels: their class numbers (texts,).
        unseen: of the teacher's probes, probabilities (texts, classes) for texts that they were not trained on; without
            rows nothing is checked.
        seed: of the folds of the model of words.
    """
    words = words_out_of_fold(texts, labels, unseen.shape[1], seed) if len(unseen) else None
    if words is None:
        return Doubtful(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0), 0)
    both = (unseen + words) / 2
    given, guesses = both[np.arange(len(labels)), labels], TASK.decision(both)
    margins = given - TASK.confidence(both)
    right = TASK.correct(labels, TASK.decision(unseen)) | TASK.correct(labels, TASK.decision(words))
    rows = np.flatnonzero(~right & (margins < 0))
    rows = rows[np.argsort(margins[rows], kind="stable")]
    return Doubtful(rows, guesses[rows], margins[rows], len(labels))


def words_out_of_fold(texts: Sequence[str], labels: np.ndarray, classes: int, seed: int) -> np.ndarray | None:
    """Return probabilities (texts, classes) of complement naive Bayes on the words, by models without the text.

    J. Rennie et al., "Tackling the Poor Assumptions of Naive Bayes Text Classifiers", ICML 2003. It finds as many wrong
    labels as a logistic regression and takes a hundredth of the time. None if no term is in two texts.
    """
    if (words := bag_of_words(texts)) is None:
        return None
    result = np.full((len(labels), classes), 1 / classes)
    for train, held in KFold(min(FOLDS, len(labels)), shuffle=True, random_state=seed).split(labels):
        model = ComplementNB().fit(words[train], labels[train])
        result[held] = 0.0
        result[held[:, None], model.classes_] = model.predict_proba(words[held])
    return result


def doubtful_rows(
    found: Doubtful, texts: Sequence[str], labels: np.ndarray, classes: list[str]
) -> list[dict[str, str]]:
    """Return a row for each doubtful label, by ``COLUMNS``; ``label`` is empty, for a person to fill in."""
    given, guesses = TASK.decode(labels[found.rows], classes), TASK.decode(found.guesses, classes)
    values = zip(found.rows, given, guesses, found.margins, strict=True)
    cells = (
        (text_key(texts[row]).hex(), texts[row], "", old, new, f"{margin:.3f}") for row, old, new, margin in values
    )
    return [dict(zip(COLUMNS, row, strict=True)) for row in cells]


def write_doubtful(file: Path, rows: list[dict[str, str]]) -> None:
    """Write the rows of :func:`doubtful_rows` as CSV, for ``stillhouse add --replace``."""
    with file.open("w", encoding="utf-8", newline="") as out:
        writer = csv.DictWriter(out, COLUMNS, quoting=csv.QUOTE_ALL, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
