"""The student together with others: the threshold that is chosen, the curves, and the costs."""

import numpy as np
import pytest
from project import ROOT

from stillhouse.evaluation import plots
from stillhouse.evaluation.cascade import SHARES, choose_threshold, curve, measure_cascade
from stillhouse.evaluation.costs import cost_table
from stillhouse.labelling.answers import Answered, not_answered
from stillhouse.params import load_params
from stillhouse.task import TASK

COSTS = load_params(ROOT / "params.yaml").costs
NOBODY = not_answered(3)


def texts_of(count, seed=0):
    """Probabilities of a calibrated student, soft labels of a teacher that is right in 95 % of cases, and labels."""
    random = np.random.default_rng(seed)
    probabilities = TASK.probabilities(random.normal(0, 3, (count, 3))).astype(np.float32)
    labels = (random.random((count, 1)) > probabilities.cumsum(1)).sum(1).clip(max=2)
    teacher = np.where(random.random(count) < 0.95, labels, random.integers(0, 3, count))
    soft = 0.9 * TASK.targets(teacher, 3) + 0.1 / 3
    return probabilities, soft.astype(np.float32), labels


def test_the_curve_goes_from_the_student_to_the_other_and_the_least_sure_are_deferred_first():
    confidence = np.array([0.9, 0.4, 0.8, 0.5])
    found = curve(confidence, np.array([True, False, True, False]), np.array([False, True, False, True]))
    assert (found[0], found[25], found[50], found[75], found[100]) == (0.5, 0.75, 1.0, 0.75, 0.5)
    assert len(SHARES) == len(found) == 101


@pytest.mark.parametrize("labelled", [True, False])
def test_the_lowest_threshold_is_chosen_that_reaches_the_teacher_and_it_does_so_on_other_texts(labelled):
    probabilities, soft, labels = texts_of(3000)
    chosen = choose_threshold(
        probabilities, TASK.decision(soft), TASK.targets(labels, 3) if labelled else soft, labelled
    )
    assert 0 < chosen.threshold < 1 and chosen.texts == 3000 and chosen.labelled == labelled
    assert round(chosen.threshold, 4) == chosen.threshold

    def accuracy(least):
        deferred = TASK.confidence(probabilities) < np.float32(least)
        both = np.where(deferred, TASK.decision(soft), TASK.decision(probabilities))
        return TASK.accuracy(labels, both)

    if labelled:
        goal = TASK.accuracy(labels, TASK.decision(soft)) - 0.005
        assert accuracy(chosen.threshold) >= goal > accuracy(chosen.threshold - 0.01)
    probabilities, soft, labels = texts_of(3000, seed=1)
    found = measure_cascade(probabilities, TASK.decision(soft), NOBODY, labels, chosen)
    assert 0 < found.deferred < 1 and found.accuracy == pytest.approx(accuracy(chosen.threshold), abs=1e-9)
    assert abs(found.gap.accuracy) < 0.02 and found.gap.low <= found.gap.accuracy <= found.gap.high
    assert found.at["people"] > found.at["teacher"] == pytest.approx(found.accuracy, abs=0.005)


def test_a_student_as_good_as_the_teacher_defers_nothing_and_one_that_is_sure_and_wrong_all():
    probabilities, soft, _ = texts_of(500)
    labels = TASK.decision(probabilities)  # the student is always right
    assert choose_threshold(probabilities, TASK.decision(soft), TASK.targets(labels, 3), True).threshold == 0.0
    worse = np.tile(np.array([[0.98, 0.01, 0.01]], np.float32), (500, 1))
    chosen = choose_threshold(worse, TASK.decision(soft), soft, False)
    assert (worse.max(1) < np.float32(chosen.threshold)).all() or chosen.threshold == 1.0
    assert choose_threshold(probabilities[:0], labels[:0], soft[:0], False) is None


def test_a_language_model_is_measured_on_the_texts_that_it_answered_and_texts_without_a_label_are_left_out():
    probabilities, soft, labels = texts_of(400)
    rows = np.arange(100)
    machine = Answered(rows, TASK.targets(labels[rows], 3).astype(np.float32))
    labels[50:100] = TASK.no_labels(50)
    found = measure_cascade(probabilities, TASK.decision(soft), machine, labels, None)
    assert list(found.curves) == ["teacher", "language model", "people"] and found.curves["language model"][-1] == 1.0
    assert found.curves["language model"][0] == TASK.accuracy(labels[:50], TASK.decision(probabilities[:50]))
    assert found.numbers() == {} and found.deferred == 0
    assert measure_cascade(probabilities, TASK.decision(soft), NOBODY, TASK.no_labels(400), None) is None


def test_costs_are_of_the_deferred_share_and_unknown_prices_stay_unknown(tmp_path):
    probabilities, soft, labels = texts_of(1000)
    chosen = choose_threshold(probabilities, TASK.decision(soft), TASK.targets(labels, 3), True)
    found = measure_cascade(probabilities, TASK.decision(soft), NOBODY, labels, chosen)
    speeds = {"student": 1000.0, "teacher": 10.0}
    assert {cost.dollars for cost in cost_table(found, speeds, 0.0, COSTS)} == {None}
    prices = COSTS.model_copy(update={"cpu_hour": 0.36, "run_hours": 1.0, "thousand_labels": 50.0})
    table = {cost.name: cost for cost in cost_table(found, speeds, 2.0, prices)}
    assert table["student alone"].dollars == pytest.approx(0.0001) and table["teacher alone"].dollars == pytest.approx(
        0.01
    )
    both = 0.0001 + found.deferred * 0.01
    assert table["student + teacher"].dollars == pytest.approx(both)
    assert table["student + teacher"].break_even == pytest.approx(1000 * 2.36 / (0.01 - both))
    assert table["student + people"].dollars == pytest.approx(0.0001 + found.deferred * 50)
    plots.cascade(found, tmp_path / "one.png")
    plots.cascade(found, tmp_path / "two.png")
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()
