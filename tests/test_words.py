"""The bag of words that answers beside the teacher."""

import numpy as np
from conftest import texts_and_labels

from stillhouse.distillation.words import bag_of_words, out_of_fold, second_opinion

NAMES = ["cooking", "sport", "weather"]
ROWS = texts_and_labels(400)
TEXTS = [text for text, _ in ROWS]
LABELS = np.array([NAMES.index(label) for _, label in ROWS])


def mistaken(share, seed=0):
    """Logits of a teacher whose answers are wrong here and there."""
    chance = np.random.default_rng(seed)
    answers = np.where(chance.random(len(LABELS)) < share, (LABELS + chance.integers(1, 3, len(LABELS))) % 3, LABELS)
    return np.eye(3, dtype=np.float32)[answers]


def test_what_a_text_was_taught_is_not_in_its_own_answer():
    taught = np.eye(3)[LABELS]
    words = bag_of_words(TEXTS)
    plain = out_of_fold(words, taught, 4, seed=0)
    np.testing.assert_allclose(plain.sum(1), 1)
    taught[7] = np.roll(taught[7], 1)
    other = out_of_fold(words, taught, 4, seed=0)
    np.testing.assert_array_equal(plain[7], other[7])
    assert (plain != other).any()


def test_texts_with_the_same_words_outvote_a_mistake_of_the_teacher():
    logits, known = mistaken(0.25), 40
    better = second_opinion(TEXTS, LABELS[:known], logits, folds=4, seed=0)
    assert better.shape == (360, 3) and better.dtype == np.float32
    right = [(one.argmax(1) == LABELS[known:]).mean() for one in (logits[known:], better)]
    assert right[0] < 0.8 and right[1] > right[0] + 0.05
    np.testing.assert_array_equal(better, second_opinion(TEXTS, LABELS[:known], logits, folds=4, seed=0))


def test_texts_without_a_word_in_common_keep_the_teachers_answer():
    logits = mistaken(0.25)[:5]
    texts = ["one", "two", "three", "", "\x00"]
    np.testing.assert_array_equal(second_opinion(texts, LABELS[:2], logits, folds=4, seed=0), logits[2:])


def test_a_class_that_no_text_of_a_fold_has_and_fewer_texts_than_folds_are_stood():
    texts, labels = ["rain and rain", "goal and goal", "rain goal and"], np.array([0])
    assert np.isfinite(second_opinion(texts, labels, mistaken(0.0)[:3], folds=4, seed=0)).all()
