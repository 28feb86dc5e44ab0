"""A student that retrains the head of its teacher, which then teaches the next student."""

import numpy as np

from stillhouse.data.encoded import Encoded
from stillhouse.distillation.examples import Examples
from stillhouse.distillation.generations import next_generation

TEXTS, LABELLED = 300, 12


def examples_of(labels, wrong):
    """A teacher that reads the class from its states, but whose head is wrong on some texts."""
    random = np.random.default_rng(0)
    features = (np.eye(3)[labels] + random.normal(scale=0.3, size=(TEXTS, 3))).astype(np.float16)
    answers = np.where(random.random(TEXTS) < wrong, (labels + 1) % 3, labels)
    known = np.where(np.arange(TEXTS) < LABELLED, labels, -1)
    signal_rows = np.arange(TEXTS)[::-1].copy()
    logits = np.zeros((TEXTS, 3), np.float32)
    logits[signal_rows] = 4 * np.eye(3)[answers]
    shuffled = np.zeros_like(features)
    shuffled[signal_rows] = features
    empty = Encoded(np.zeros(0, np.int32), np.zeros(TEXTS + 1, np.int64))
    return Examples(empty, known, logits, shuffled, None, signal_rows)


def test_a_teacher_learns_from_a_student_that_knows_more_and_from_the_labels():
    labels = np.random.default_rng(1).integers(0, 3, TEXTS)
    before = examples_of(labels, wrong=0.4)
    signal_rows = before.logits.copy()
    student = np.where(np.random.default_rng(2).random(TEXTS) < 0.1, (labels + 2) % 3, labels)
    after = next_generation(before, 3.0 * np.eye(3)[student], seed=0)
    right = [(one.logits[one.signal_rows].argmax(1) == labels).mean() for one in (before, after)]
    assert right[0] < 0.7
    assert right[1] > 0.9
    assert (after.logits[after.signal_rows][:LABELLED].argmax(1) == labels[:LABELLED]).all()
    assert (before.logits[before.signal_rows] != after.logits[after.signal_rows]).any()
    np.testing.assert_array_equal(before.logits, signal_rows)  # what lies on disk stays as it was
