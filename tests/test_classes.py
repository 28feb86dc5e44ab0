"""Lopsided classes: the constant answer, classes that are never recognised, recall in the gate, a readable picture."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import matplotlib.image
import numpy as np
import pytest
from project import ROOT
from test_evaluation import BALANCED, GATE, STUDENT, TEACHER

from flows import doctor
from stillhouse.errors import BadInput
from stillhouse.evaluation.classes import class_numbers, class_rows, class_warnings, count_classes, read_classes
from stillhouse.evaluation.confusion import confusion, most_confused
from stillhouse.evaluation.constant import compare_with_constant, most_frequent
from stillhouse.evaluation.gate import judge
from stillhouse.params import check_params, load_params

RANDOM = np.random.default_rng(0)


def lopsided(ok: int, fraud: int, false: int = 0, found: int = 0, training: tuple[int, int] = (400, 20)):
    """Counts of ``ok`` and ``fraud`` texts, with ``false`` alarms and ``found`` frauds."""
    labels = np.array([0] * ok + [1] * fraud)
    answers = np.array([0] * (ok - false) + [1] * (false + found) + [0] * (fraud - found))
    return count_classes(labels, answers, ["ok", "fraud"], training)


def verdict(classes, **settings):
    return judge(GATE.model_copy(update=settings), STUDENT, TEACHER, 2.0, {}, None, classes)


@pytest.mark.parametrize(
    ("classes", "better"),
    [
        (BALANCED, True),
        (lopsided(500, 1), False),  # every text is answered with the frequent class
        (lopsided(500, 0), False),  # and nothing else is tested
        (lopsided(95, 5, false=1, found=4), True),  # +3 points on 100 texts are not shown, the mean recall is
        (lopsided(950, 50, false=5, found=10), True),  # 95.5 % against 95.0 %
        (lopsided(950, 50, false=65, found=46), True),  # two points of accuracy for 92 % of the rare class
        (lopsided(95, 5, false=5, found=0), False),
        (lopsided(50, 50, false=26, found=27), False),  # a coin
        (lopsided(800, 200, false=500, found=160), False),  # it says more of the rare class, but is mostly wrong
    ],
)
def test_a_student_must_be_better_than_a_constant_answer(classes, better):
    assert compare_with_constant(classes).is_better == better
    found = verdict(classes)
    assert found.passed == better
    reason = next(reason for reason in found.reasons if "always answering" in reason)
    assert reason.startswith("ok: " if better else "FAILED: ") and "mean recall of the classes" in reason
    assert ("Label more texts" in reason) == (not better)


def test_guesses_are_not_better_than_a_constant_answer_however_many_classes_there_are():
    passed = 0
    for _ in range(200):
        labels, guesses = (RANDOM.choice(6, 60, p=[0.3, 0.2, 0.2, 0.1, 0.1, 0.1]) for _ in range(2))
        passed += compare_with_constant(count_classes(labels, guesses, list("abcdef"), [9] * 6)).is_better
    assert passed <= 20  # 5 % of 200, and what chance adds


def test_the_constant_answer_is_a_class_that_training_knows():
    assert most_frequent(np.array([0, 2, 2, 2, 1, 1]), known=2) == 1
    classes = count_classes(np.array([0, 2, 2, 2, 1, 1]), np.array([0, 0, 0, 0, 1, 1]), list("abc"), [5, 5])
    assert compare_with_constant(classes).name == "b" and compare_with_constant(classes).accuracy == pytest.approx(
        1 / 3
    )


def test_classes_that_are_never_recognised_are_named_with_their_counts():
    classes = lopsided(99, 1, training=(400, 1))
    assert class_warnings(classes) == ["never recognised on the test texts: 'fraud' (1 test text, 1 training text)"]
    assert (
        "note: never recognised on the test texts: 'fraud' (1 test text, 1 training text)" in verdict(classes).reasons
    )
    untested = class_warnings(lopsided(99, 0, training=(400, 1)))
    assert untested == ["not tested, for lack of test texts: 'fraud' (0 test texts, 1 training text)"]
    assert class_warnings(BALANCED) == [] and not any(reason.startswith("note") for reason in verdict(BALANCED).reasons)
    numbers = class_numbers(classes)
    assert numbers == {"never_recognised": 1, "without_test_texts": 0, "lowest_recall": 0, "mean_recall": 0.5}


def test_the_gate_may_ask_for_the_recall_of_each_class():
    classes = lopsided(950, 50, false=5, found=10)
    assert verdict(classes, min_class_recall=None).passed and verdict(classes, min_class_recall=0.2).passed
    refused = verdict(classes, min_class_recall=0.5)
    message = next(reason for reason in refused.reasons if "min_class_recall" in reason)
    assert not refused.passed and message.startswith("FAILED: recognises at least 50.0% of each class (register.min")
    assert "20.0% of 'fraud' (50 test texts, 20 training texts)" in message


def test_a_devices_gate_has_a_recall_of_its_own():
    device = {
        "threads": 1,
        "min_retention": 0.5,
        "max_size_mb": 5.0,
        "max_latency_ms": 9.0,
        "size": None,
        "student": {},
        "compress": {},
    }
    content = load_params(ROOT / "params.yaml").model_dump(by_alias=True)
    content["devices"] = {"edge": device, "phone": device | {"min_class_recall": 0.3}}
    params = check_params(content, "params.yaml")
    assert params.register_.min_class_recall is None
    assert params.for_device("edge").register_.min_class_recall is None
    assert params.for_device("phone").register_.min_class_recall == 0.3
    content["register"]["min_class_recall"] = 1.5
    with pytest.raises(BadInput, match="register.min_class_recall: .*less than or equal to 1, but is 1.5"):
        check_params(content, "params.yaml")


def test_counts_come_back_from_their_table(tmp_path):
    names = ["a, b", '"x"', "体育\n"]
    classes = count_classes(np.array([0, 1, 1, 2]), np.array([0, 1, 0, 2]), names, [3, 2])
    with (tmp_path / "classes.csv").open("w", newline="", encoding="utf-8") as table:
        rows = class_rows(classes)
        writer = csv.DictWriter(table, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    assert read_classes(tmp_path / "classes.csv") == classes and classes[2] == replace(
        classes[2], training=0, texts=1, right=1
    )


def test_the_doctor_names_rare_and_lopsided_classes_of_the_prepared_data(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert list(doctor._classes()) == []
    card = {"splits": {"train": {"labels": {"ok": 400, "fraud": 1}}, "test": {"labels": {"ok": 100, "fraud": 0}}}}
    (tmp_path / "outputs" / "prepare").mkdir(parents=True)
    file = tmp_path / "outputs" / "prepare" / "card.json"
    file.write_text(json.dumps(card))
    kinds, message = zip(*doctor._classes(), strict=True)
    assert set(kinds) == {"note"} and len(message) == 3
    assert message[0].endswith("too few to learn them well: 'fraud' (1)")
    assert message[1].endswith("cannot be evaluated: 'fraud'")
    assert message[2].startswith("100.0% of the test texts are 'ok'")
    file.write_text("{")
    assert list(doctor._classes()) == []


LONG = "a label that goes on and on about one thing and another, number "


@pytest.mark.parametrize(
    ("names", "numbered"),
    [
        (["business", "entertainment", "émigré", "спорт", "αθλητικά", "$5_$x", "100 $"], False),
        (["体育", "财经"], True),
        (["กีฬา", "การเมือง"], True),
        (["खेल", "sport"], True),
        (["رياضة", "sport"], True),  # the font has the letters, but matplotlib writes them from left to right
        (["חדשות", "sport"], True),
        ([LONG + "one", LONG + "two"], False),
        ([LONG + "one" + LONG, LONG + "two" + LONG], True),  # the same once they are cut
        (["a\nb", "tab\there"], False),
        (["", "x"], True),
    ],
)
@pytest.mark.filterwarnings("error")  # matplotlib warns of a glyph that is missing
def test_the_confusion_matrix_shows_names_that_it_can_write_and_numbers_else(names, numbered, tmp_path):
    labels = RANDOM.integers(0, len(names), 50)
    assert confusion(labels, labels[::-1], names, tmp_path / "confusion.png") == numbered
    assert (tmp_path / "confusion.png").stat().st_size > 5000


def test_of_many_classes_the_most_confused_are_drawn(tmp_path):
    counts = np.diag(np.full(151, 40))
    counts[[3, 150], [77, 3]] = 5
    assert list(most_confused(counts, 3)) == [3, 77, 150] and len(most_confused(counts, 30)) == 30
    labels = np.repeat(np.arange(151), 2)
    confusion(labels, labels[::-1], [f"intent number {n}" for n in range(151)], tmp_path / "many.png")
    height, width, _ = matplotlib.image.imread(tmp_path / "many.png").shape
    assert max(height, width) < 2500 and Path(tmp_path / "many.png").stat().st_size > 20_000
