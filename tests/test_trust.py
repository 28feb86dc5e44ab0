"""How much a student listens to its teacher: as much as the teacher is shown to know more than the labels."""

import numpy as np

from stillhouse.distillation.trust import DOUBTED, OVERRULED, TRUSTED, chosen_alpha

LABELS = np.arange(400) % 2


def right_on(share):
    """Logits that are right on the first ``share`` of the texts."""
    answers = np.where(np.arange(400) < share * 400, LABELS, 1 - LABELS)
    return np.eye(2)[answers]


def test_a_teacher_that_is_shown_to_be_better_is_trusted():
    assert chosen_alpha(LABELS, right_on(0.9), right_on(0.8)) == TRUSTED


def test_four_texts_more_of_39_are_no_reason_to_trust_a_teacher():
    labels, control = np.zeros(39, int), np.zeros(39, int)
    control[:4] = 1
    assert chosen_alpha(labels, np.eye(2)[labels], np.eye(2)[control]) == DOUBTED
    control[:8] = 1
    assert chosen_alpha(labels, np.eye(2)[labels], np.eye(2)[control]) == TRUSTED


def test_a_teacher_that_is_level_is_doubted():
    for share in (0.9, 0.898):
        assert chosen_alpha(LABELS, right_on(share), right_on(0.9)) == DOUBTED


def test_a_teacher_that_is_shown_to_be_worse_is_not_heard_where_there_are_labels():
    assert chosen_alpha(LABELS, right_on(0.7), right_on(0.9)) == OVERRULED
