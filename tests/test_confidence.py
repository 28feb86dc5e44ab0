"""Calibration and certified thresholds: what they promise, and that the promise is kept in simulation."""

from dataclasses import replace

import numpy as np
import pytest
from project import ROOT

from stillhouse.compression.seal import copy_with_threshold
from stillhouse.compression.texts import CalibrationTexts
from stillhouse.evaluation import certificate
from stillhouse.evaluation.calibration import calibrate, reliability, with_temperature
from stillhouse.evaluation.certificate import certify, lower_bound, texts_needed
from stillhouse.evaluation.confidence import certified, read_statements, threshold_of, write_statements
from stillhouse.params import load_params
from stillhouse.task import TASK

REGISTER = load_params(ROOT / "params.yaml").register_
DRAWS = 1000


def texts_of(random, count, classes=4, temperature=1.0):
    """Probabilities and labels of a calibrated model, whose logits are then multiplied by ``temperature``."""
    probabilities = TASK.probabilities(random.normal(0, 3, (count, classes)))
    labels = (random.random((count, 1)) > probabilities.cumsum(1)).sum(1).clip(max=classes - 1)
    return with_temperature(probabilities, 1 / temperature), labels


def test_zero_errors_certify_what_the_exact_bound_allows():
    assert texts_needed(0.95) == 59 and texts_needed(0.98) == 149 and texts_needed(0.99) == 299
    assert lower_bound(0, 59) >= 0.95 > lower_bound(0, 58)
    assert lower_bound(5, 5) == 0.0 and lower_bound(1, 236) >= 0.98 > lower_bound(1, 235)


def answers_of(random, texts):
    """Confidence u**(1/12) of each answer, and whether it is right: in (confidence squared) of cases, so too sure."""
    confidence = (random.random(texts) ** (1 / 12)).astype(np.float32)
    return confidence, random.random(texts) < confidence.astype(float) ** 2


def truth(least):
    """The share of right answers with at least the confidence ``least``, of which the density is 12 * c**11."""
    return 12 / 14 * (1 - least**14) / (1 - least**12)


@pytest.mark.parametrize(("texts", "wanted"), [(300, 0.9), (1000, 0.95), (2000, 0.97)])
def test_the_promise_is_broken_in_at_most_five_of_a_hundred_draws(monkeypatch, texts, wanted):
    monkeypatch.setattr(certificate, "_more", lambda *_: None)  # it takes most of the time and promises nothing
    random, broken, given = np.random.default_rng(texts), 0, 0
    for _ in range(DRAWS):
        found = certify(*answers_of(random, texts), wanted)
        if found.min_confidence is not None:
            given += 1
            broken += truth(found.min_confidence) < wanted
    assert given > DRAWS / 4 and broken <= 0.05 * DRAWS


def test_a_bound_without_the_exact_test_would_break_the_promise(monkeypatch):
    monkeypatch.setattr(certificate, "lower_bound", lambda errors, texts: 1 - errors / np.maximum(texts, 1))
    random, broken = np.random.default_rng(1), 0
    for _ in range(100):
        found = certify(*answers_of(random, 1000), 0.95)
        broken += found.min_confidence is not None and truth(found.min_confidence) < 0.95
    assert broken > 20


def test_the_loosest_threshold_before_the_first_failure_is_taken():
    confidence = np.repeat([0.9995, 0.95, 0.7, 0.3], 100).astype(np.float32)
    right = np.ones(400, bool)
    right[200:300:2] = False  # half of the answers at 0.7 are wrong, all others right
    found = certify(confidence, right, 0.95)
    assert 0.7 < found.min_confidence <= 0.95 and found.answered == 200 and found.errors == 0 and found.deferred == 0.5
    assert found.lowest >= 0.95 and found.more == 0
    every = certify(confidence, np.ones(400, bool), 0.98)
    assert every.min_confidence == 0.0 and every.answered == 400


def test_too_few_texts_are_counted_and_errors_of_the_surest_answers_are_named():
    few = certify(np.full(40, 0.99, np.float32), np.ones(40, bool), 0.95)
    assert few.min_confidence is None and 19 <= few.more <= 30 and few.deferred == 1.0
    assert certify(np.zeros(0), np.zeros(0, bool), 0.98).more == 149
    hopeless = certify(np.full(500, 0.99, np.float32), np.arange(500) % 5 > 0, 0.98)
    assert hopeless.min_confidence is None and hopeless.more is None


def test_every_demand_must_hold_for_the_model_to_have_a_threshold(tmp_path):
    random = np.random.default_rng(0)
    probabilities, labels = texts_of(random, 3000)
    probabilities, teacher = probabilities.astype(np.float32), np.where(random.random(3000) < 0.97, labels, 0)
    settings = REGISTER.model_copy(update={"answered_accuracy": 0.97, "answered_agreement": 0.9})
    statements = certified(probabilities, labels, teacher, settings)
    both = [one for one in statements if one.demanded]
    assert [(one.by, one.certificate.wanted) for one in both] == [("labels", 0.97), ("teacher", 0.9)]
    assert threshold_of(statements) == max(one.certificate.min_confidence for one in both) > 0
    write_statements(statements, tmp_path / "certificate.json")
    assert read_statements(tmp_path / "certificate.json") == statements
    failed = replace(both[0], certificate=replace(both[0].certificate, min_confidence=None))
    assert threshold_of([failed, both[1]]) is None
    assert threshold_of(certified(probabilities, labels, teacher, REGISTER)) is None  # nothing is demanded


def test_without_labels_only_agreement_with_the_teacher_is_certified():
    probabilities, teacher = texts_of(np.random.default_rng(0), 2000)
    unknown = TASK.no_labels(2000)
    assert {one.by for one in certified(probabilities, unknown, teacher, REGISTER)} == {"teacher"}
    demanding = REGISTER.model_copy(update={"answered_accuracy": 0.98})
    [labels] = [one for one in certified(probabilities, unknown, teacher, demanding) if one.by == "labels"]
    assert labels.certificate.more == 149 and "0 labelled test texts, about 149 more are needed" in labels.sentence


def test_a_temperature_is_found_and_a_calibrated_model_has_none():
    random = np.random.default_rng(0)
    probabilities, labels = texts_of(random, 2000, temperature=0.5)  # half as sure as it should be
    found = calibrate(probabilities, TASK.targets(labels, 4))
    assert found.used and found.temperature == pytest.approx(0.5, abs=0.05) and found.after < found.before
    refused = [calibrate(p, TASK.targets(y, 4)).used for p, y in (texts_of(random, 200) for _ in range(20))]
    assert sum(refused) <= 8


def test_the_calibration_error_has_an_interval_that_is_near_the_true_one():
    random, inside = np.random.default_rng(0), 0
    for draw in range(40):
        probabilities, labels = texts_of(random, 1000)
        found = reliability(probabilities.max(1), probabilities.argmax(1) == labels, 200, draw)
        inside += found.low <= 0.015  # the true error is 0
        assert found.error == pytest.approx(TASK.calibration_error(labels, probabilities))
    assert inside >= 36
    probabilities, labels = texts_of(random, 2000, temperature=0.3)
    assert reliability(probabilities.max(1), probabilities.argmax(1) == labels, 200, 0).low > 0.05


def test_the_temperature_is_fitted_on_labels_if_there_are_enough_else_on_soft_labels(finished):
    from stillhouse.data.splits import read_split

    test = read_split(finished.folder / "outputs" / "prepare" / "test.arrow")
    validation, heldout = test.select(range(20)), test.remove_columns("label").select(range(3))
    few = CalibrationTexts.of(validation, heldout, np.eye(3, dtype=np.float32) * 5)
    assert few.source == "soft labels" and few.texts == list(heldout["text"]) and few.targets[0, 0] > 0.9
    enough = CalibrationTexts.of(test.select(np.arange(120) % len(test)), heldout, np.eye(3, dtype=np.float32))
    assert enough.source == "labels" and enough.targets.shape == (120, 3) and set(enough.targets.ravel()) == {0.0, 1.0}


def test_a_copy_with_a_threshold_can_be_loaded_although_the_files_are_read_only(tmp_path):
    from material import tiny_model

    from stillhouse.serving import Classifier

    model = tiny_model(tmp_path / "model")
    for file in model.iterdir():
        file.chmod(0o444)
    assert Classifier.load(copy_with_threshold(model, tmp_path / "copy", 0.75)).min_confidence == 0.75
    assert Classifier.load(copy_with_threshold(model, tmp_path / "same", None)).min_confidence == 0.0
