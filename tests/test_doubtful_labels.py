"""Doubtful labels: what two models contradict is found, and the file goes back through ``stillhouse add``."""

import csv

import numpy as np
import pytest
from material import WORDS, texts_and_labels

from stillhouse.distillation.probe import out_of_fold
from stillhouse.labelling.doubtful import COLUMNS, doubtful_labels, doubtful_rows, words_out_of_fold, write_doubtful
from stillhouse.task import TASK

CLASSES = sorted(WORDS)
ROWS = texts_and_labels(90)
TEXTS = [text for text, _ in ROWS]
TRUE = TASK.encode([label for _, label in ROWS], CLASSES)
FLIPPED = [3, 40, 77]


@pytest.fixture
def labels() -> np.ndarray:
    wrong = TRUE.copy()
    wrong[FLIPPED] = (wrong[FLIPPED] + 1) % 3
    return wrong


def vectors() -> np.ndarray:
    return np.eye(3)[TRUE] + np.random.default_rng(0).normal(scale=0.2, size=(90, 3))


def test_flipped_labels_are_first_and_the_guess_is_the_true_class(labels):
    found = doubtful_labels(TEXTS, labels, out_of_fold(vectors(), labels, 3, 13), 13)
    assert sorted(found.rows[:3]) == FLIPPED and len(found.rows) < 8 and found.checked == 90
    assert (found.guesses[:3] == TRUE[found.rows[:3]]).all() and (np.diff(found.margins) >= 0).all()


def test_a_label_that_one_model_confirms_is_not_doubtful(labels):
    sure = np.eye(3)[labels]  # the teacher confirms every label
    assert not len(doubtful_labels(TEXTS, labels, sure, 13).rows)
    shuffled = list(np.random.default_rng(0).permutation(TEXTS))  # the words contradict many, the vectors three
    assert set(doubtful_labels(shuffled, labels, np.eye(3)[TRUE], 13).rows) <= set(FLIPPED)


def test_no_model_judges_a_text_that_it_was_trained_on(labels):
    probabilities = out_of_fold(vectors(), labels, 3, 13)
    other = labels.copy()
    other[5] = (other[5] + 1) % 3
    np.testing.assert_array_equal(out_of_fold(vectors(), other, 3, 13)[5], probabilities[5])
    words, changed = words_out_of_fold(TEXTS, labels, 3, 13), words_out_of_fold(TEXTS, other, 3, 13)
    np.testing.assert_array_equal(words[5], changed[5])
    assert (words != changed).any() and np.allclose(words.sum(1), 1) and np.allclose(probabilities.sum(1), 1)


def test_without_a_probe_or_without_words_nothing_is_checked(labels):
    assert doubtful_labels(TEXTS, labels, np.zeros((0, 0), np.float32), 13).checked == 0
    assert doubtful_labels([f"w{n}" for n in range(90)], labels, np.eye(3)[TRUE], 13).checked == 0


def test_a_class_with_one_text_does_not_fail():
    labels = np.array([0, 0, 0, 0, 1, 1, 1, 1, 2])
    texts, features = ["a b"] * 4 + ["c d"] * 4 + ["a d"], np.eye(3)[labels]
    assert doubtful_labels(texts, labels, out_of_fold(features, labels, 3, 13), 13).checked == 9


def test_the_file_has_the_given_label_the_guess_and_an_empty_column(labels, tmp_path):
    found = doubtful_labels(TEXTS, labels, out_of_fold(vectors(), labels, 3, 13), 13)
    rows = doubtful_rows(found, TEXTS, labels, CLASSES)
    for name in ("a.csv", "b.csv"):
        write_doubtful(tmp_path / name, rows)
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()
    with (tmp_path / "a.csv").open(encoding="utf-8", newline="") as table:
        [first, *_] = list(csv.DictReader(table))
    row = found.rows[0]
    assert tuple(first) == COLUMNS and (first["text"], first["label"]) == (TEXTS[row], "")
    assert (first["given"], first["guess"]) == (CLASSES[labels[row]], CLASSES[TRUE[row]])
    write_doubtful(tmp_path / "none.csv", [])
    assert (tmp_path / "none.csv").read_text().startswith('"id","text","label","given","guess","margin"')
