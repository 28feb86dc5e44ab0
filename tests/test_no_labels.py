"""A start without labels: the data, the first labels, and what is reported when no test text has a label."""

import importlib
import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from datasets import Dataset
from material import WORDS, texts_and_labels, write_csv
from project import ROOT, new_project
from test_evaluation import STUDENT, TEACHER, gap
from test_every_student import inside, run

from stillhouse.data.card import data_card
from stillhouse.data.cleaning import clean
from stillhouse.data.sources import load_source
from stillhouse.data.splits import Split, labels_of, read_split, write_split
from stillhouse.data.splitting import complete, few_labels
from stillhouse.errors import BadInput
from stillhouse.evaluation.classes import ClassCounts
from stillhouse.evaluation.gate import judge
from stillhouse.evaluation.reference import reference
from stillhouse.evaluation.results import as_dict, brief, evidence, quality_of
from stillhouse.labelling import beginning
from stillhouse.labelling.beginning import begin_without_labels
from stillhouse.labelling.descriptions import class_sentences, class_vectors, first_labels, surest
from stillhouse.params import Data, load_params
from stillhouse.pipeline.artefacts import path
from stillhouse.pipeline.stages import CHAIN

CLASSES = {"weather": None, "sport": "matches and players", "cooking": None}  # not in alphabetical order
PARAMS = load_params(ROOT / "params.yaml")
RANDOM = np.random.default_rng(0)


def settings(path, **changes) -> Data:
    own = {"source": "files", "path": str(path), "text_column": "review", "label_column": "topic", "classes": CLASSES}
    return Data.model_validate(PARAMS.data.model_dump() | own | changes)


def prepared(data: Data, folder) -> tuple[dict[str, Split], list[Split], list[str]]:
    cleaned = clean(load_source(data, folder / "cache"), data)
    splits, nameless = few_labels(complete(cleaned.splits, data, 13), data.label_limit, 13)
    return splits, nameless, cleaned.label_names


def only_texts(path, rows):
    path.write_text("review\n" + "".join(f"{text}\n" for text, _ in rows), encoding="utf-8")
    return path


# Parameters


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"label_column": None, "classes": None}, "data.label_column is null"),
        ({"labels_per_class": 0, "classes": None}, "data.labels_per_class is 0"),
        ({"labels_per_class": 1}, "data.labels_per_class is 1"),
        ({"classes": {"sport": None}}, "fewer than two classes"),
        ({"classes": ["sport", "weather", "sport"]}, "names a class twice"),
    ],
)
def test_no_labels_without_the_classes_is_refused(tmp_path, changes, message):
    with pytest.raises(ValueError, match=message):
        settings(tmp_path, **changes)


def test_the_classes_may_be_a_list_of_names(tmp_path):
    assert settings(tmp_path, classes=["sport", "weather"]).classes == {"sport": None, "weather": None}


# Data


def test_texts_alone_become_texts_without_labels_and_a_test_set_without_labels(tmp_path):
    file = only_texts(tmp_path / "texts.csv", texts_and_labels(200))
    splits, nameless, names = prepared(settings(file, label_column=None), tmp_path)
    assert names == list(CLASSES)
    assert not len(splits["train"].rows) and not len(splits["validation"].rows)
    assert len(splits["test"].rows) + sum(len(part.rows) for part in nameless) == 200 and len(splits["test"].rows) > 20
    write_split(splits["test"], names, tmp_path / "test.arrow")
    assert set(labels_of(read_split(tmp_path / "test.arrow"))) == {-1}
    card = data_card(splits, names, [], {}, 160, 0)
    assert card["splits"]["test"]["labels"] == dict.fromkeys(CLASSES, 0)


def test_a_labelled_test_file_measures_what_is_learnt_from_a_file_without_labels(tmp_path):
    rows = texts_and_labels(120)
    only_texts(tmp_path / "train.csv", rows[:90])
    write_csv(tmp_path / "test.csv", rows[90:])
    splits, nameless, names = prepared(settings(tmp_path, labels_per_class=0), tmp_path)
    assert [names[label] for label in splits["test"].labels] == [label for _, label in rows[90:]]
    assert sum(len(part.rows) for part in nameless) == 90 and not len(splits["train"].rows)


def test_without_training_labels_the_test_set_keeps_the_labels_that_a_file_has(tmp_path):
    rows = [(text, label if index % 2 else "") for index, (text, label) in enumerate(texts_and_labels(200))]
    splits, nameless, _ = prepared(settings(write_csv(tmp_path / "t.csv", rows), labels_per_class=0), tmp_path)
    assert len(splits["test"].rows) > 5 and (splits["test"].labels >= 0).all()
    assert len(splits["test"].rows) + sum(len(part.rows) for part in nameless) == 200


def test_a_label_that_is_no_class_is_named_with_its_row(tmp_path):
    file = write_csv(tmp_path / "texts.csv", [*texts_and_labels(30), ("one more text", "sprot")])
    with pytest.raises(BadInput, match=r"texts.csv row 32: the label 'sprot' is not in data.classes \(weather, sport"):
        prepared(settings(file), tmp_path)


def test_classes_set_the_order_of_labelled_data_too(tmp_path):
    splits, _, names = prepared(settings(write_csv(tmp_path / "texts.csv", texts_and_labels(60))), tmp_path)
    assert names == list(CLASSES) and len(splits["train"].rows) > 30


# First labels


def test_a_sentence_has_the_words_of_the_name_and_the_description():
    assert class_sentences("rec.sport_hockey", None) == ["This text is about rec sport hockey."]
    assert class_sentences("acq", "takeovers") == [
        "This text is about acq: takeovers.",
        "This text is about takeovers.",
    ]
    assert class_sentences("+", None) == ["This text is about +."]


def test_the_surest_are_a_share_of_each_class_and_at_least_one():
    scores = np.array([[0.9, 0.1], [0.8, 0.2], [0.6, 0.4], [0.51, 0.49], [0.3, 0.7]])
    assert surest(scores, 0.5).tolist() == [0, 1, 4]


def noisy_texts(count: int) -> tuple[list[str], np.ndarray, np.ndarray, np.ndarray]:
    """Texts whose words show the class, vectors that show it with noise, the classes' vectors, and the labels."""
    rows = texts_and_labels(count)
    labels = np.array([list(WORDS).index(label) for _, label in rows])
    centres = RANDOM.normal(size=(3, 16))
    vectors = centres[labels] + 2.4 * RANDOM.normal(size=(count, 16))
    return [text for text, _ in rows], vectors, centres, labels


def test_the_words_correct_what_the_similarity_gets_wrong():
    texts, vectors, centres, labels = noisy_texts(600)
    similar = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)) @ class_vectors(centres, np.arange(3)).T
    found = first_labels(texts, vectors, class_vectors(centres, np.arange(3)))
    assert np.allclose(found.probabilities.sum(1), 1, atol=1e-5) and found.probabilities.dtype == np.float32
    before, after = (np.mean(scores.argmax(1) == labels) for scores in (similar, found.probabilities))
    assert 0.5 < before < 0.85 and after > before + 0.1
    sure = found.probabilities[found.surest].argmax(1)
    assert np.mean(sure == labels[found.surest]) > after and len(found.surest) == pytest.approx(
        0.75 * len(texts), abs=3
    )
    changed = np.mean(similar.argmax(1) != found.probabilities.argmax(1))
    assert found.agreement == pytest.approx(1 - changed)


def test_texts_without_a_common_word_get_labels_too():
    _, vectors, centres, _ = noisy_texts(60)
    found = first_labels([f"word{number}" for number in range(60)], vectors, class_vectors(centres, np.arange(3)))
    assert found.probabilities.shape == (60, 3)


def test_equal_texts_get_one_class():
    found = first_labels(["win match goal"] * 20, np.ones((20, 3)), np.eye(3))
    assert len(np.unique(found.probabilities.argmax(1))) == 1 and len(found.surest) == 5


def test_too_few_texts_are_refused(tmp_path):
    nothing = Split(Dataset.from_dict({"text": ["a"]}), np.zeros(0, np.int64), np.zeros(0, np.int64))
    write_split(nothing, list(CLASSES), tmp_path / "train.arrow")
    train = read_split(tmp_path / "train.arrow")
    with pytest.raises(BadInput, match="2 texts without labels are too few for 3 classes"):
        begin_without_labels(PARAMS, train, Dataset.from_dict({"text": ["a", "b"]}), None, tmp_path)


# What is reported without a labelled test text


def test_the_teacher_is_the_reference_only_if_no_test_text_has_a_label(tmp_path):
    dataset = Dataset.from_dict({"text": ["a", "b", "c"]})
    teacher = np.array([2, 1, 0])
    for labels, expected in (([-1, -1, -1], (teacher, True)), ([0, 1, 1], (np.array([0, 1, 1]), False))):
        write_split(Split(dataset, np.arange(3), np.array(labels)), list(CLASSES), tmp_path / "test.arrow")
        found = reference(read_split(tmp_path / "test.arrow"), teacher)
        assert found[0].tolist() == expected[0].tolist() and found[1] == expected[1]


def test_no_stored_number_is_named_accuracy_without_labels():
    student = replace(STUDENT, of_teacher=True, teacher_agreement=STUDENT.accuracy, calibration_error=None)
    stored = as_dict(student)
    for names in (stored, brief(student), evidence(student), as_dict(gap(0.1), of_teacher=True)):
        assert not [name for name in names if "accuracy" in name], names
    assert stored["agreement"] == STUDENT.accuracy
    assert quality_of(json.loads(json.dumps(stored))) == student
    assert quality_of(as_dict(STUDENT)) == STUDENT


def test_the_gate_speaks_of_agreement_and_a_measured_champion_stays():
    classes = [ClassCounts("a", 50, 100, 100, 98), ClassCounts("b", 50, 100, 100, 98)]
    student = replace(STUDENT, accuracy=0.98, of_teacher=True)
    teacher = replace(TEACHER, accuracy=1.0, of_teacher=True)
    free = {"control": gap(0.01)}
    verdict = judge(PARAMS.register_, student, teacher, 1.0, free, None, classes)
    assert verdict.passed and "accuracy" not in verdict.reasons[0]
    assert "agrees with the teacher on 98.0% of the test texts, which have no labels" in verdict.reasons[0]
    assert any(reason.startswith("note: no test text has a label") for reason in verdict.reasons)
    assert any("points of agreement with the teacher" in reason for reason in verdict.reasons)
    below = replace(student, accuracy=0.96)
    assert not judge(PARAMS.register_, below, teacher, 1.0, free, None, classes).passed
    rival = judge(PARAMS.register_, student, teacher, 1.0, free, gap(0.01), classes, champion_measured=True)
    assert not rival.passed and any("the champion stays" in reason for reason in rival.reasons)


def test_labels_of_people_join_the_first_labels(tmp_path, monkeypatch):
    names, rows = list(CLASSES), texts_and_labels(120)
    found = SimpleNamespace(probabilities=np.eye(3)[np.arange(90) % 3], surest=np.arange(0, 90, 2), agreement=1.0)
    monkeypatch.setattr(beginning, "_by_description", lambda *_: found)
    given = Dataset.from_dict({"text": [text for text, _ in rows[90:]]})
    write_split(Split(given, np.arange(30), np.full(30, 2)), names, tmp_path / "given.arrow")
    texts = Dataset.from_dict({"text": [text for text, _ in rows[:90]]})
    begin_without_labels(PARAMS, read_split(tmp_path / "given.arrow"), texts, None, tmp_path)
    train = read_split(tmp_path / "train.arrow")
    assert list(train["text"])[:30] == list(given["text"]) and set(labels_of(train)[:30]) == {2}
    assert set(train["text"][30:]) <= set(texts["text"]) and len(train) == 75


def test_the_whole_chain_runs_without_any_label(tmp_path):
    project = new_project(tmp_path / "project")
    only_texts(project.folder / "data" / "reviews.csv", texts_and_labels(360))
    described = {name: " ".join(words[:4]) for name, words in WORDS.items()}
    project.set(data__label_column=None, data__classes=described, register__min_retention=0.01)
    project.set(teacher__finetune=False, teacher__cotraining=3, soft_labels__second_teachers=2)
    project.set(student__training__epochs=4)
    with inside(project):  # without DVC, which starts a process for each stage
        for stage in CHAIN:
            run(importlib.import_module(f"tasks.{stage.name}"))
        label, metrics = (json.loads(path(f"{name}/metrics.json").read_text()) for name in ("label", "evaluate"))
        report = path("evaluate/report.html").read_text()
    outputs = project.folder / "outputs"
    train, rest = (read_split(outputs / f"label/splits/{name}.arrow") for name in ("train", "unlabelled"))
    assert len(train) == label["labelled"] > 30 and train.features["label"].names == list(described)
    assert len(train) + len(rest) == len(read_split(outputs / "prepare/unlabelled.arrow"))
    assert metrics["models"]["teacher"]["agreement"] == 1 and "accuracy" not in str(metrics)
    assert "No test text has a label, so the accuracy is unknown" in report and "Accuracy against" not in report
    tags = project.mlflow("print(json.dumps(client.get_model_version('topics', '1').tags))")
    assert json.loads(tags)["test.reference"] == "teacher" and "test.accuracy" not in json.loads(tags)
