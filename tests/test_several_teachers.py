"""A finished classifier, and several teachers, through the stages of the chain."""

import csv
import json
import shutil

import numpy as np
import pytest
import torch
from datasets import ClassLabel, Dataset, Features, Value
from material import WORDS, texts_and_labels, tiny_teacher
from project import ROOT
from test_every_student import inside, run

from stillhouse.data.splits import labels_of, read_split
from stillhouse.distillation.answers import read_soft_labels
from stillhouse.distillation.hints import Hints
from stillhouse.distillation.job import TeacherJob, Texts
from stillhouse.distillation.log import NoLog
from stillhouse.distillation.scratch import RESULTS
from stillhouse.distillation.weights import choose_weights
from stillhouse.labelling.answers import no_machine_labels
from stillhouse.params import OneTeacher, load_params
from stillhouse.pipeline.artefacts import path
from stillhouse.task import TASK
from tasks import compress, evaluate, register, soft_labels, student, teacher


def read(name):
    return json.loads(path(name).read_text(encoding="utf-8"))


@pytest.fixture
def mine(project):
    """A project whose teacher is a classifier that somebody trained before, with other names for its labels."""
    folder = project.folder / "data" / "classifier"
    shutil.copytree(project.folder / "outputs" / "teacher" / "model", folder)
    config = json.loads((folder / "config.json").read_text())
    names = {"cooking": "Recipes", "sport": " SPORT", "weather": "Weather"}
    config["id2label"] = {number: names[label] for number, label in config["id2label"].items()}
    config["label2id"] = {label: number for number, label in config["id2label"].items()}
    (folder / "config.json").write_text(json.dumps(config))
    project.set(
        teacher__model="data/classifier",
        teacher__finetune="never",
        teacher__labels={"Recipes": "cooking"},
        student__training__epochs=8,
    )
    (project.folder / "dvc.lock").write_text("schema: '2.0'\n")  # the stages are run without DVC here
    return project


def test_a_finished_classifier_goes_through_all_stages(mine):
    with inside(mine):
        before = read("evaluate/metrics.json")["models"]["teacher"]
        for stage in (teacher, soft_labels, student, compress, evaluate, register):
            run(stage)
        found = read("evaluate/metrics.json")
        numbers = read("teacher/metrics.json")
        assert path("register/receipt.json").exists()
    after = found["models"]["teacher"]
    assert {name: after[name] for name in ("accuracy", "macro_f1")} == {
        name: before[name] for name in ("accuracy", "macro_f1")
    }
    assert numbers["train_accuracy"] > 0.8 and "teachers" not in numbers
    assert found["models"]["student"]["accuracy"] > 0.8 and "teacher 1" not in found["models"]


def test_two_teachers_label_together_and_each_is_measured_and_stored_alone(mine, caplog):
    caplog.set_level("INFO", logger="stillhouse")
    probe = {"model": "data/teacher", "finetune": False, "max_length": 24}
    alone = (mine.folder / "params.yaml").read_text()
    mine.set(teacher__others=[probe])
    with inside(mine):
        for stage in (teacher, soft_labels, student, compress, evaluate):
            run(stage)
        numbers, found = read("teacher/metrics.json")["teachers"], read("evaluate/metrics.json")
        with path("evaluate/answers.csv").open(newline="", encoding="utf-8") as file:
            assert {"teacher", "teacher 1", "teacher 2"} <= set(next(csv.reader(file)))
        assert "teacher 2 (teacher, weight" in path("evaluate/report.html").read_text()
        stored = {file: file.stat().st_mtime_ns for file in RESULTS.rglob("model.safetensors")}
        soft = np.array(read_soft_labels(path("soft_labels/answers")).logits)
        labels = labels_of(read_split(path("train")))

        # A change of one teacher, or of the weights, trains no other.
        caplog.clear()
        mine.set(teacher__others=[probe | {"max_length": 20}], teacher__weights=[0, 3])
        run(teacher)
        assert caplog.text.count("linear probe on") == 1 and "finished classifier, not trained" not in caplog.text
        again = {file: file.stat().st_mtime_ns for file in RESULTS.rglob("model.safetensors")}
        reused = set(stored.items()) & set(again.items())
        assert len(stored) == len(again) == 2 and len(reused) == 1
        caplog.clear()
        mine.set(teacher__weights=[1, 3])
        run(teacher)
        assert "linear probe on" not in caplog.text
        changed = read("teacher/metrics.json")["teachers"]
        # Without others nothing is stored beside the outputs of the stage.
        (mine.folder / "params.yaml").write_text(alone)
        run(teacher)
        assert not list(RESULTS.glob("*"))
        assert [file.name for file in path("teacher/others").iterdir()] == ["teachers.json"]
    weights = [numbers[name]["weight"] for name in ("teacher 1", "teacher 2")]
    assert sum(weights) == pytest.approx(1) and weights[0] > weights[1]  # the probe reads a network with random weights
    assert [changed[name]["weight"] for name in ("teacher 1", "teacher 2")] == [0.25, 0.75]
    assert {"teacher", "teacher 1", "teacher 2"} <= set(found["models"])
    assert {"teacher - teacher 1", "teacher - teacher 2"} <= set(found["differences"])
    assert TASK.accuracy(labels, TASK.decision(soft[: len(labels)])) > 0.8


def test_the_weights_are_those_of_the_lowest_log_loss():
    chance = np.random.default_rng(0)
    labels = chance.integers(0, 3, 400)
    right, wrong = np.eye(3)[labels], np.eye(3)[(labels + 1) % 3]
    some = np.arange(400)[:, None] < 120
    good, other = (0.8 * np.where(mistaken, wrong, right) + 0.2 / 3 for mistaken in (some, ~some))
    noise = chance.dirichlet(np.ones(3), 400)
    weights = choose_weights([good, other, noise], labels)

    def loss(given):
        mean = np.tensordot(given, [good, other, noise], 1)
        return TASK.log_losses(mean, labels).mean()

    assert sum(weights) == pytest.approx(1) and weights[0] > weights[1] > 0
    assert all(loss(weights) <= loss(given) + 1e-4 for given in chance.dirichlet(np.ones(3), 200))
    assert choose_weights([good, noise], labels[:0]) == [0.5, 0.5]


@pytest.mark.parametrize("finetuned", [False, True])
def test_a_prediction_for_the_weights_does_not_depend_on_the_label_of_its_text(finetuned, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    given = load_params(ROOT / "params.yaml").teacher.each[0].model_dump()
    changes = {"model": str(tiny_teacher(tmp_path / "tiny")), "finetune": finetuned, "max_length": 32, "epochs": 1}
    settings = OneTeacher.model_validate(given | changes | {"freeze_layers": 0, "cotraining": 1})
    rows, names = texts_and_labels(80), sorted(WORDS)
    labels = np.array([names.index(label) for _, label in rows])
    unlabelled = Dataset.from_dict({"text": [text for text, _ in rows[60:]]})

    def predicted(labels, name):
        features = Features({"text": Value("string"), "label": ClassLabel(names=names)})
        train = Dataset.from_dict({"text": [text for text, _ in rows[:60]], "label": labels[:60]}, features)
        texts = Texts(train, train.select([]), unlabelled, Hints("none"), no_machine_labels(2), "auto", {}, {})
        job = TeacherJob(name, settings, texts, torch.device("cpu"), 3, NoLog())
        (tmp_path / name).mkdir()
        job.train(tmp_path / name)
        assert job.judged() is train
        return job.unseen(tmp_path / name)

    before = predicted(labels, "one")
    np.testing.assert_allclose(before.sum(1), 1, atol=1e-5)
    changed = labels.copy()
    changed[7] = (changed[7] + 1) % 3
    after = predicted(changed, "two")
    np.testing.assert_allclose(after[7], before[7], atol=1e-5)
    assert not np.allclose(after, before, atol=1e-5)  # the others do
