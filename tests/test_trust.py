"""How much a student listens to its teacher: as much as the teacher is shown to know more than the labels."""

import numpy as np

from stillhouse.distillation.trust import ALPHA_ABOVE, ALPHA_BELOW, ALPHA_NOT_SHOWN, choose_alpha

LABELS = np.arange(400) % 2


def right_on(share):
    """Logits that are right on the first ``share`` of the texts."""
    answers = np.where(np.arange(400) < share * 400, LABELS, 1 - LABELS)
    return np.eye(2)[answers]


def test_a_teacher_that_is_shown_to_be_better_is_trusted():
    assert choose_alpha(LABELS, right_on(0.9), right_on(0.8)) == ALPHA_ABOVE


def test_four_texts_more_of_39_are_no_reason_to_trust_a_teacher():
    labels, control = np.zeros(39, int), np.zeros(39, int)
    control[:4] = 1
    assert choose_alpha(labels, np.eye(2)[labels], np.eye(2)[control]) == ALPHA_NOT_SHOWN
    control[:8] = 1
    assert choose_alpha(labels, np.eye(2)[labels], np.eye(2)[control]) == ALPHA_ABOVE


def test_a_teacher_that_is_level_is_doubted():
    for share in (0.9, 0.898):
        assert choose_alpha(LABELS, right_on(share), right_on(0.9)) == ALPHA_NOT_SHOWN


def test_a_teacher_that_is_shown_to_be_worse_is_not_heard_where_there_are_labels():
    assert choose_alpha(LABELS, right_on(0.7), right_on(0.9)) == ALPHA_BELOW
