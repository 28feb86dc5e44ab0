"""A machine's labels: read from a file, audited, calibrated, and weighed."""

import numpy as np
import pytest

from stillhouse.distillation.logistic import probabilities
from stillhouse.distillation.machine import evidence_of, machine_evidence, use_machine_labels
from stillhouse.distillation.material import cotrained_rows, material_of
from stillhouse.errors import BadInput
from stillhouse.evaluation.machine import machine_worth
from stillhouse.evaluation.report import render
from stillhouse.evaluation.significance import paired
from stillhouse.labelling.answers import (
    Answered,
    MachineLabels,
    answered,
    no_machine_labels,
    not_answered,
    read_machine_labels,
)
from stillhouse.labelling.audit import audit
from stillhouse.labelling.calibration import calibration_of
from stillhouse.labelling.choice import balanced, choose
from stillhouse.labelling.file import matched, read_labels

CLASSES = ["cat", "dog", "cow"]


def read(tmp_path, content, name="labels.csv"):
    file = tmp_path / name
    file.write_text(content, encoding="utf-8")
    return file


def test_rows_of_the_same_text_are_votes(tmp_path):
    file = read(tmp_path, "text,label\nIt purrs,cat\nit  purrs,cat\nit purrs,dog\nit barks,dog\nit sleeps,\n")
    found = matched(read_labels(file, "text", "label", CLASSES), ["it purrs", "it barks", "it sleeps"], 3)
    assert found[:2].tolist() == pytest.approx(np.array([[2 / 3, 1 / 3, 0], [0, 1, 0]]), abs=1e-6)
    assert np.isnan(found[2]).all()


@pytest.mark.parametrize("rows", ["a,0.5,0.25,0.25\nb,0,1,0\n", "a,2,1,1\nb,,7,\n"])
def test_a_column_for_each_class_has_probabilities_or_counts(tmp_path, rows):
    file = read(tmp_path, f"text,cat,dog,cow\n{rows}")
    found = matched(read_labels(file, "text", "label", CLASSES), ["b", "a"], 3)
    assert found.tolist() == [[0, 1, 0], [0.5, 0.25, 0.25]]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("text,label\na,horse\n", "has labels that are no class of the data: horse; 1 rows have one (first in row 2)"),
        ("text,cat,dog\na,1,0\n", "none for cow"),
        ("text,cat,dog,cow\na,0.5,0.2,0.1\n", "the sum of row 2 is not 1"),
        ("text,cat,dog,cow\na,1,0,0\nb,x,0,0\n", "row 3, column 'cat': 'x' is no probability and no count"),
        ("text,cat,dog,cow\na,-1,2,0\n", "row 2, column 'cat': '-1'"),
        (
            "text,kind\na,cat\n",
            "no column 'label' (label.label_column), and none with the name of a class (cat, dog, cow)",
        ),
    ],
)
def test_a_wrong_file_is_refused_with_its_row_and_column(tmp_path, content, message):
    with pytest.raises(BadInput) as raised:
        read_labels(read(tmp_path, content), "text", "label", CLASSES)
    assert message in str(raised.value)


def test_answers_are_stored_in_the_order_of_the_split_and_texts_without_one_are_left_out(tmp_path):
    found = answered(np.array([7, 2, 5]), np.array([[1, 0], [np.nan, np.nan], [0.25, 0.75]]))
    assert found.rows.tolist() == [5, 7]
    MachineLabels(found, not_answered(2), found).save(tmp_path)
    again = read_machine_labels(tmp_path)
    assert again.train.probabilities.tolist() == [[0.25, 0.75], [1, 0]] and len(again.test) == 0


def test_the_audit_states_accuracy_confusions_and_whether_the_free_labels_are_better():
    labels = np.arange(60) % 3
    machine = np.eye(3)[np.where(np.arange(60) < 30, 1, labels)]  # half of the answers are "dog"
    found = audit(labels, machine, np.eye(3)[labels], CLASSES)
    assert found.accuracy == pytest.approx(40 / 60) and found.low < 40 / 60 < found.high
    assert sorted(found.confusions) == [("cat", "dog", 10), ("cow", "dog", 10)]
    assert found.recall == {"cat": 0.5, "dog": 1.0, "cow": 0.5}
    assert found.is_worse and "66.7 %" in found.sentence and "100.0 %: shown to be worse" in found.sentence
    assert not audit(labels, np.eye(3)[labels], None, CLASSES).is_worse


@pytest.mark.parametrize("right", [0.9, 0.6])
def test_the_temperature_makes_hard_answers_as_sure_as_they_are_right(right):
    labels = np.arange(400) % 3
    wrong = np.arange(400) % 100 >= 100 * right
    answers = np.eye(3)[np.where(wrong, (labels + 1) % 3, labels)]
    sure = calibration_of(answers, labels, answers)(answers).max(1)
    assert sure == pytest.approx(right, abs=0.03)


def test_few_known_answers_calibrate_nothing():
    assert calibration_of(np.eye(2)[[0] * 9], np.zeros(9, int), np.eye(2)).temperature == 1.0


@pytest.mark.parametrize("factors", [[6, 1, 0.4], [1, 1, 1]])
def test_a_bias_towards_a_class_is_removed_where_known_texts_show_it(factors):
    random = np.random.default_rng(0)
    truth = random.dirichlet([0.4, 0.4, 0.4], 2000)
    labels = np.array([random.choice(3, p=row) for row in truth])
    answers = truth * factors
    answers /= answers.sum(1, keepdims=True)
    calibration = calibration_of(answers[:100], labels[:100], answers[100:])
    assert (calibration.prior is not None) == (factors[0] != 1)
    found, right = calibration(answers[100:]).argmax(1), truth[100:].argmax(1)
    assert (found == right).mean() >= (answers[100:].argmax(1) == right).mean() + (0.1 if factors[0] != 1 else 0)


def two_views(count):
    """Texts and vectors of two classes, in which neither words nor vectors decide alone."""
    random = np.random.default_rng(3)
    labels = np.arange(count) % 2
    vectors = random.normal(size=(count, 4)) + labels[:, None] * 1.2
    words = [["red", "blue"][label if random.random() < 0.7 else 1 - label] for label in labels]
    return labels, vectors.astype(np.float32), [f"{word} thing {number % 7}" for number, word in enumerate(words)]


@pytest.mark.parametrize(
    ("known", "answers", "least"),
    [
        (8, lambda labels: np.where(np.arange(400) % 20 == 0, 1 - labels, labels), 0.03),  # 95 % are right
        (40, lambda labels: np.arange(400) // 2 % 2, -0.02),  # every second answer is right
        (40, lambda labels: 1 - labels, -0.02),  # all are wrong
    ],
)
def test_good_labels_improve_the_probe_and_useless_ones_hardly_change_it(known, answers, least):
    labels, vectors, texts = two_views(400)
    material, rows = material_of(texts, vectors, labels[:known], 2, rounds=1, seed=1), np.arange(400 - known)
    soft = np.eye(2, dtype=np.float32)[answers(labels)]
    machine = MachineLabels(Answered(np.arange(known), soft[:known]), not_answered(2), Answered(rows, soft[known:]))
    found = use_machine_labels(material, machine, rows, "auto")
    gained, free = ((probabilities(one, vectors, 2).argmax(1) == labels).mean() for one in (found.probe, found.without))
    assert gained >= free + least


def test_labels_that_do_harm_in_cross_validation_get_no_weight():
    labels, vectors, texts = two_views(200)
    material = material_of(texts, vectors, labels[:60], 2, rounds=1, seed=0)
    known = Answered(np.arange(60), np.eye(2, dtype=np.float32)[labels[:60]])  # right where it is checked
    wrong = Answered(np.arange(140), np.eye(2, dtype=np.float32)[1 - labels[60:]])
    used = use_machine_labels(material, MachineLabels(known, not_answered(2), wrong), np.arange(140), "auto")
    assert used.weight == 0 and used.probe is used.without


def test_the_report_states_what_the_labels_were_worth(tmp_path):
    labels, sure = np.arange(40) % 2, np.eye(2)[np.arange(40) % 2]
    machine = MachineLabels(not_answered(2), Answered(np.arange(0, 40, 4), np.eye(2)[[1] * 10]), Answered(labels, sure))
    scores = {"teacher": sure, "compressed student": sure, "TF-IDF + SVM": 1 - labels}
    found = audit(labels, np.eye(2)[np.ones(40, int)], sure, CLASSES[:2])
    worth = machine_worth(
        machine, labels, scores, {"source": "a file", "audit": found.content()}, 1.0, paired(np.ones(40), np.zeros(40))
    )
    assert worth["pays"] and worth["test"]["machine"] == 0 and worth["test"]["compressed student"] == 1
    assert worth["test"]["TF-IDF + SVM"] == 0
    assert not machine_worth(machine, labels, scores, {"source": "a file"}, 0.0, None)["pays"]
    assert machine_worth(no_machine_labels(2), labels, scores, {}, None, None) is None
    render("machine.html.jinja", tmp_path / "page.html", machine_labels=worth)
    page = (tmp_path / "page.html").read_text()
    assert "40 texts without a label got one" in page and "Of 10 test texts 0.0 % have the right label" in page
    assert "<bdi>cat</bdi> as <bdi>dog</bdi> (20)" in page


def test_the_report_needs_no_labels_of_test_texts(tmp_path):
    labels, sure = np.arange(4) % 2, np.eye(2)[np.arange(4) % 2]
    machine = MachineLabels(not_answered(2), not_answered(2), Answered(labels, sure))
    worth = machine_worth(
        machine, labels, {"teacher": sure, "compressed student": sure}, {"source": "a file"}, 1.0, None
    )
    render("machine.html.jinja", tmp_path / "page.html", machine_labels=worth)
    page = (tmp_path / "page.html").read_text()
    assert "4 texts without a label got one" in page and "test texts" not in page


def test_a_machines_labels_of_test_texts_alone_are_reported(tmp_path):
    labels, sure = np.arange(4) % 2, np.eye(2)[np.arange(4) % 2]
    machine = MachineLabels(not_answered(2), Answered(np.arange(4), sure), not_answered(2))
    worth = machine_worth(
        machine, labels, {"compressed student": sure, "teacher": sure}, {"source": "a file"}, None, None
    )
    assert worth["pays"] is None and worth["test"]["machine"] == 1
    render("machine.html.jinja", tmp_path / "page.html", machine_labels=worth)
    assert "the training labels are these" in (tmp_path / "page.html").read_text()


def test_evidence_of_weight_zero_is_none():
    assert (evidence_of(3, np.array([1]), np.array([[0.9, 0.1]]), 0.0) == 1).all()


def test_the_texts_of_the_probe_include_all_that_a_machine_labelled():
    rows = cotrained_rows(9000, 3, np.array([1, 8999]), seed=0)
    assert {1, 8999} <= set(rows.tolist()) and 5000 <= len(rows) <= 5002 and (np.diff(rows) > 0).all()
    assert cotrained_rows(9000, 0, np.array([4]), seed=0).tolist() == [4]


def test_the_evidence_for_the_soft_labels_is_as_sure_as_the_machine_is_right():
    labels, wrong = np.arange(40) % 2, np.arange(40) % 4 == 0
    known = np.eye(2)[np.where(wrong, 1 - labels, labels)]
    machine = MachineLabels(
        Answered(np.arange(40), known), not_answered(2), Answered(np.arange(2), np.array([[1.0, 0.0], [0.0, 1.0]]))
    )
    sure = machine_evidence(machine, labels, 1.0)
    assert sure.tolist() == pytest.approx(np.array([[0.75, 0.25], [0.25, 0.75]]), abs=0.02)
    assert machine_evidence(machine, labels, 0.5)[0].tolist() == pytest.approx(sure[0] ** 0.5)


def test_the_chosen_texts_are_random_unsure_or_diverse():
    sure = np.linspace(0.5, 1, 50)
    soft, features = np.stack([sure, 1 - sure], 1), np.repeat(np.eye(5), 10, 0).astype(np.float32)
    assert sorted(choose("uncertain", 5, soft, features, 0).tolist()) == [0, 1, 2, 3, 4]
    assert len({row // 10 for row in choose("diverse", 5, soft, features, 0).tolist()}) == 5
    assert len(set(choose("random", 5, soft, features, 0).tolist())) == 5
    labels = np.repeat([0, 1, 2], [40, 5, 5])
    assert np.bincount(labels[balanced(labels, 15, 0)]).tolist() == [5, 5, 5]
