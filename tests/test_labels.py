"""How many labels are enough: the table's numbers on made-up answers, and the flow for real where all is cached."""

import json

import numpy as np
from project import ROOT
from test_added_labels import finished, soft

from stillhouse.data.added import read_added
from stillhouse.data.keys import text_key
from stillhouse.evaluation import plots
from stillhouse.evaluation.curve import curve, markdown_table
from stillhouse.params import load_params

POINTS = [
    {"labels": "8", "labelled_texts": 24.0, "models": {"teacher": [0.8, 0.9], "TF-IDF + SVM": [0.7, 0.7]}},
    {"labels": "all", "labelled_texts": 300.0, "models": {"teacher": [0.95], "TF-IDF + SVM": [0.9]}},
]


def test_the_curve_has_a_mean_and_a_band_over_the_draws(tmp_path):
    lines = curve(POINTS)
    assert list(lines) == ["teacher", "TF-IDF + SVM"]
    np.testing.assert_allclose(lines["teacher"]["mean"], [0.85, 0.95])
    np.testing.assert_allclose([lines["teacher"]["low"], lines["teacher"]["high"]], [[0.8, 0.95], [0.9, 0.95]])
    plots.labels(lines, tmp_path / "figure.png")
    assert (tmp_path / "figure.png").read_bytes().startswith(b"\x89PNG")


def test_the_table_has_a_row_a_number_of_labels():
    table = markdown_table({"points": POINTS, "draws": [1, 2], "texts": 100})
    assert "100 test texts" in table and "draws 1, 2" in table
    assert "| 8 | 24 | 85.0 ± 7.1 | 70.0 ± 0.0 |" in table and "| all | 300 | 95.0 | 90.0 |" in table


def test_each_arm_draws_its_own_labels_and_the_projects_own_come_from_the_cache():
    from flows.labels import _changes

    params = load_params(ROOT / "params.yaml")
    assert _changes(8, 14, params) == {
        "data": {"labels_per_class": 8, "labels_seed": 14},
        "student": {"size": "custom", "training": {"seed": 14}},
    }
    assert _changes(8, params.seed, params)["data"]["labels_seed"] is None
    assert _changes("all", params.seed, params) == {
        "data": {"labels_per_class": None},
        "student": {"size": "custom", "training": {"seed": None}},
    }


def test_the_flow_measures_every_model_on_the_same_test_texts(project):
    project.set(labels={"counts": ["all"], "draws": [13], "choose": "random"})
    done = project.python("-m", "flows.labels", timeout=300)
    assert done.returncode == 0, done.stdout
    folder = project.folder / "outputs" / "labels"
    result = json.loads((folder / "labels.json").read_text())
    models = result["points"][0]["models"]
    assert list(models) == ["teacher", "compressed student", "TF-IDF + SVM", "linear probe"]
    metrics = json.loads((project.folder / "outputs" / "evaluate" / "metrics.json").read_text())["models"]
    assert models["compressed student"] == [metrics["compressed student"]["accuracy"]]
    assert 0.1 < models["linear probe"][0] <= 1.0 and (folder / "labels.png").exists()
    assert "| labels a class | labelled texts |" in done.stdout
    assert "outputs restored" in done.stdout  # what the pipeline ran, with the project's own parameters


def test_the_labels_of_chosen_texts_grow_from_arm_to_arm(tmp_path, monkeypatch):
    from flows.shared import chosen

    finished(tmp_path / "first", soft(0.9, 0.6, 0.2, 0.99, 0.51, 0.7))
    params = load_params(ROOT / "params.yaml")
    params = params.model_copy(update={"labels": params.labels.model_copy(update={"choose": "uncertain"})})
    ran = []

    def run_arm(group, name, changes, params):
        ran.append((name, changes["data"]["labels_per_class"], read_added(changes["data"]["added_labels"])))
        return tmp_path / "first"

    monkeypatch.setattr(chosen, "run_arm", run_arm)
    truth = {text_key(f"text {number}"): "sport" for number in range(8)}
    changes = {"data": {"labels_per_class": 1}, "student": {}}
    chosen.run_chosen([1, 2, 3], tmp_path / "first", changes, "chosen-13", truth, tmp_path, params)
    assert [(name, count) for name, count, _ in ran] == [("chosen-13-2", 1), ("chosen-13-3", 1)]
    (_, _, few), (_, _, more) = ran  # two classes, one more label for each
    assert few == {text_key(text): "sport" for text in ("text 6", "text 3")}
    assert more == few | {text_key(text): "sport" for text in ("text 7", "text 4")}
