"""The serving package: one decision for all ways to predict, few imports, and models of an unknown kind."""

import json
import shutil
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from material import tiny_model
from project import ROOT

from flows import console
from flows.score import label_chunk
from stillhouse.compression.seal import set_threshold
from stillhouse.serving import Classifier, answers, mlflow_model, predict

TEXTS = ["the goal of the match", "butter and flour", "rain", "snow and frost and fog"]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return tiny_model(tmp_path_factory.mktemp("tiny") / "model")


def test_importing_it_loads_nothing_that_a_light_install_lacks():
    code = "import sys, stillhouse.serving, stillhouse.serving.predict, flows.console; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert "tokenizers" in loaded
    assert not loaded & {
        "onnxruntime",
        "torch",
        "transformers",
        "pydantic",
        "mlflow",
        "prefect",
        "pandas",
        "dvc",
        "sklearn",
        "tqdm",
    }


def test_the_decision_is_the_most_probable_class_and_its_probability():
    probabilities = np.array([[0.1, 0.7, 0.2], [0.5, 0.5, 0.0]], np.float32)
    names = np.array(["a", "b", "c"], dtype=object)
    found = answers.decide(probabilities, names)
    assert found.labels.tolist() == ["b", "a"] and found.probabilities.tolist() == [np.float32(0.7), 0.5]
    assert found.deferred.tolist() == [False, False]
    assert answers.decide(probabilities, names, 0.7).deferred.tolist() == [False, True]
    assert len(answers.decide(np.empty((0, 3), np.float32), names, 0.7)) == 0


def test_all_four_ways_to_predict_use_the_one_decision(model, monkeypatch, tmp_path):
    classifier = Classifier.load(model)
    served = mlflow_model.ServedStudent()
    served.classifier = classifier

    def table():
        part = tmp_path / "part.parquet"
        label_chunk.fn(pa.table({"text": TEXTS}), "text", pa.schema([("text", pa.string())]), classifier, part)
        made = pq.read_table(part)
        return [tuple(row.values()) for row in made.select(["label", "probability", "deferred"]).to_pylist()]

    def ways():
        [block] = predict.label_lines(classifier, TEXTS)
        lines = list(zip(block.labels, block.probabilities, block.deferred, strict=True))
        replies = [(one.label, one.probability, one.deferred) for one in served.predict(None, TEXTS)]
        return list(classifier.predict(TEXTS)), lines, replies, table()

    labels, lines, replies, rows = ways()
    assert lines == replies == rows and labels == [label for label, *_ in lines]
    task = SimpleNamespace(decision=lambda scores: scores.argmin(-1), confidence=lambda scores: scores.min(-1))
    monkeypatch.setattr(answers, "TASK", task)  # the least probable class
    other, lines, replies, rows = ways()
    assert lines == replies == rows and other == [label for label, *_ in lines]
    assert all(one != two for one, two in zip(labels, other, strict=True))


def test_the_threshold_of_the_model_defers_in_every_way_to_predict(model, tmp_path):
    probabilities = Classifier.load(model).predict_proba(TEXTS).max(1)
    least = float(np.sort(probabilities)[2])  # two of four texts are below
    folder = shutil.copytree(model, tmp_path / "model")
    set_threshold(folder, least)
    classifier, served = Classifier.load(folder), mlflow_model.ServedStudent()
    served.classifier = classifier
    expected = (probabilities < least).tolist()
    assert sum(expected) == 2 and classifier.answer(TEXTS).deferred.tolist() == expected
    assert [one.deferred for one in served.predict(None, TEXTS)] == expected
    [block] = predict.label_lines(classifier, TEXTS)
    assert block.deferred.tolist() == expected
    label_chunk.fn(
        pa.table({"text": TEXTS}), "text", pa.schema([("text", pa.string())]), classifier, tmp_path / "part.parquet"
    )
    assert pq.read_table(tmp_path / "part.parquet")["deferred"].to_pylist() == expected
    assert not classifier.answer(TEXTS, 0.0).deferred.any() and classifier.answer(TEXTS, 1.0).deferred.all()
    with pytest.raises(ValueError, match="from 0 to 1"):
        classifier.answer(TEXTS, 98)


def test_a_model_names_its_task_type_and_an_unknown_one_is_refused(model):
    file = model / "config.json"
    text = file.read_text()
    assert json.loads(text)["task"] == "single_label"
    try:
        file.write_text(text.replace("single_label", "multi_label"))
        with pytest.raises(
            ValueError, match="task type 'multi_label'; this version of Stillhouse knows 'single_label'"
        ):
            Classifier.load(model)
        file.write_text(text.replace('"task": "single_label",', ""))  # registered before the type was recorded
        assert len(Classifier.load(model).predict(TEXTS)) == len(TEXTS)
    finally:
        file.write_text(text)


def test_without_mlflow_a_registered_version_is_refused_with_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "mlflow.artifacts", None)
    monkeypatch.delitem(sys.modules, "stillhouse.tracking.address")
    with pytest.raises(ModuleNotFoundError, match="MLflow is not installed"):
        Classifier.load("models:/topics@champion")


def test_a_command_that_needs_a_missing_package_names_the_extra(monkeypatch, capsys):
    def absent(name):
        return lambda: (_ for _ in ()).throw(ModuleNotFoundError(f"No module named {name!r}", name=name))

    monkeypatch.setattr(sys, "argv", ["stillhouse", "run"])
    monkeypatch.setattr("flows.cli.main", absent("prefect.flows"))
    with pytest.raises(
        SystemExit, match=r"stillhouse run needs the package prefect, .* pip install 'stillhouse\[all\]'"
    ):
        console.main()
    monkeypatch.setattr("flows.cli.main", absent("stillhouse.gone"))  # a fault of this project is not hidden
    with pytest.raises(ModuleNotFoundError):
        console.main()
    started = []
    monkeypatch.setattr(predict, "main", lambda: started.append(sys.argv))
    monkeypatch.setattr(sys, "argv", ["stillhouse", "predict", "model", "--threads", "2"])
    console.main()
    assert started == [["stillhouse predict", "model", "--threads", "2"]]
