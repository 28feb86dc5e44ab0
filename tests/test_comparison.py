"""The comparison of arms: its numbers on made-up answers, and the flow for real on one seed."""

import json
import re

import numpy as np
import pytest
from project import ROOT

from flows import comparison
from stillhouse.evaluation import plots
from stillhouse.evaluation.comparison import Arm, compare, tables
from stillhouse.params import load_params

LATER = ["soft_labels", "student", "compress", "evaluate"]


def arm(name, *shares, texts=400):
    """Right on the first ``share`` of the texts, one share a seed."""
    return Arm(name, np.array([(np.arange(texts) < share * texts).astype(float) for share in shares]))


def test_means_spreads_error_ratios_and_paired_differences(tmp_path):
    arms = [arm("teacher", 0.9, 0.9), arm("student", 0.8, 0.9), arm("twin", 0.9, 0.9)]
    pairs = [("student", "teacher"), ("twin", "teacher")]
    result = compare(arms, pairs, "teacher", 2000, 0)
    assert result["arms"]["student"]["accuracy"] == pytest.approx(0.85)
    assert result["arms"]["student"]["spread"] == pytest.approx(np.std([0.8, 0.9], ddof=1))
    assert result["arms"]["student"]["error_ratio"] == pytest.approx(1.5)
    gap = result["differences"]["student - teacher"]
    assert gap["accuracy"] == pytest.approx(-0.05) and gap["low"] < -0.05 < gap["high"] < 0
    assert gap["seeds"] == pytest.approx([-0.1, 0.0])
    assert result["differences"]["twin - teacher"]["low"] == result["differences"]["twin - teacher"]["high"] == 0
    message, differences = tables(result)
    assert message[2] == ["student", "85.00 %", "7.07", "1.50"]
    assert differences[1][:2] == ["student - teacher", "-5.00"] and differences[1][3] == "-10.00, +0.00"
    plots.arms(result["arms"], result["differences"], tmp_path / "figure.png")
    assert (tmp_path / "figure.png").read_bytes().startswith(b"\x89PNG")


def test_the_improved_teacher_is_the_simple_models_work_alone():
    params = load_params(ROOT / "params.yaml")
    assert params.comparison.regularise == "cotraining"
    plain, improved, together = (comparison._changes(kind, 14, params) for kind in ("plain", "regularised", "together"))
    assert plain["teacher"] == {"seed": 14, "regularise": "none", "cotraining": 0}
    assert improved == plain | {"teacher": plain["teacher"] | {"cotraining": params.teacher.cotraining}}
    assert plain["data"] == {"labels_seed": 14} and plain["soft_labels"] == {"second_teachers": 0}
    reversed_ = params.model_copy(
        update={"comparison": params.comparison.model_copy(update={"regularise": "reversed"})}
    )
    assert comparison._changes("regularised", 14, reversed_)["teacher"] == plain["teacher"] | {"regularise": "reversed"}
    assert together == improved | {"soft_labels": {"second_teachers": params.soft_labels.second_teachers}}


def test_the_flow_compares_the_arms_in_copies_of_the_project(project):
    lock = (project.folder / "dvc.lock").read_bytes()
    project.set(comparison={"seeds": [13], "regularise": "cotraining"})
    done = project.python("-m", "flows.comparison")
    assert done.returncode == 0, done.stdout
    # The plain arm is the project itself; no text is without a label, so co-training gives the same teacher again.
    ran = {kind: re.findall(rf"'{kind}-13-(\w+)' - Running stage", done.stdout) for kind in comparison.KINDS}
    assert ran == {"plain": [], "regularised": ["label", "teacher"], "together": LATER}, done.stdout
    assert (project.folder / "dvc.lock").read_bytes() == lock  # the copies have locks of their own
    folder = project.folder / "outputs" / "comparison"
    result = json.loads((folder / "comparison.json").read_text())
    assert list(result["arms"]) == [
        "teacher",
        "regularised teacher",
        "student, hard labels",
        "student of the teacher",
        "student of the regularised teacher",
        "student of the regularised teacher and second teachers",
    ]
    assert "| student of the teacher - student, hard labels |" in done.stdout and (folder / "comparison.png").exists()
    code = "runs = {run.info.run_id: run for run in client.search_runs([experiment])}\n"
    code += "arms = [run for run in runs.values() if run.data.tags['stillhouse.kind'] == 'arm']\n"
    code += "parents = {runs[arm.data.tags['mlflow.parentRunId']].info.run_name.split('-')[0] for arm in arms}\n"
    code += "parent_ids = [run.data.tags.get('mlflow.parentRunId') for run in runs.values()]\n"
    code += "inside = sorted(parent_ids.count(arm.info.run_id) for arm in arms)\n"
    code += "print(json.dumps([len(arms), sorted(parents), inside]))"
    assert project.mlflow(code) == '[3, ["comparison"], [0, 2, 4]]'
    assert (project.folder / "params.yaml").read_text().count("regularise: none") == 1
