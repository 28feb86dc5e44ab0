"""The study: what is tried, going on where it was stopped, a cluster's workers, writing the best back."""

import re

import optuna
import pytest
from project import ROOT

from stillhouse.errors import BadInput
from stillhouse.params import load_params
from stillhouse.params.files import read_yaml
from stillhouse.study import best_changes, changed, nested, open_study, score, suggest

SEARCH = {
    "student.network.depth": {"low": 1, "high": 3},
    "student.temperature": {"low": 1.0, "high": 8.0, "log": True},
    "student.losses": [{"hinton": 1.0}, {"mse": 1.0, "dist": 0.5}],
}
SETTINGS = load_params(ROOT / "params.yaml").study.model_copy(update={"search": SEARCH})


def test_suggestions_are_of_the_kind_that_the_search_names(tmp_path):
    study = open_study(SETTINGS, "name", "md5", {"seed": 1}, tmp_path)
    tried = [suggest(study.ask(), SEARCH) for _ in range(30)]
    assert {each["student.network.depth"] for each in tried} == {1, 2, 3}
    assert all(1 <= each["student.temperature"] <= 8 for each in tried)
    assert all(each["student.losses"] in SEARCH["student.losses"] for each in tried)
    params = changed(tried[0], ROOT / "params.yaml")
    assert params.student.losses == tried[0]["student.losses"]
    assert nested(tried[0])["student"]["network"] == {"depth": tried[0]["student.network.depth"]}


def test_a_study_outlives_its_process_and_other_answers_make_another(tmp_path):
    study = open_study(SETTINGS, "name", "md5", {}, tmp_path)
    first, lost = study.ask(), study.ask()
    suggest(first, SEARCH)
    study.tell(first, 0.5)
    again = open_study(SETTINGS, "name", "md5", {}, tmp_path)
    states = [trial.state for trial in again.trials]
    assert states == [optuna.trial.TrialState.COMPLETE, optuna.trial.TrialState.FAIL] and lost.number == 1
    assert best_changes(again).keys() == SEARCH.keys()
    other = open_study(SETTINGS, "name", "other md5", {}, tmp_path)
    assert other.trials == []
    with pytest.raises(BadInput, match="No trial has finished"):
        best_changes(other)


def test_between_equal_accuracies_the_lower_loss_wins():
    better = {"validation_accuracy": 0.9, "validation_loss": 0.2}
    assert score(better) > score(better | {"validation_loss": 0.3})
    assert score(better | {"validation_loss": 1.0}) > score({"validation_accuracy": 0.88, "validation_loss": 0.0})


def test_a_searched_parameter_that_does_not_exist_is_named():
    with pytest.raises(BadInput, match=r"study.search.student.tempreature: there is no such parameter"):
        changed({"student.tempreature": 1.0}, ROOT / "params.yaml")


def test_trials_are_run_at_once_the_best_is_written_back_and_one_that_cannot_be_run_ends_the_study(project):
    search = {"student.network.architecture": ["resnet", "vgg"], "student.alpha": {"low": 0.5, "high": 1.0}}
    project.set(study__trials=2, study__search=search)
    done = project.python("-m", "flows.study")
    assert done.returncode == 0, done.stdout
    assert sorted(re.findall(r"trial (\d+): score [01]\.\d+ with", done.stdout)) == ["0", "1"], done.stdout
    rows = re.findall(r"^(\d+) +([01]\.\d+) +(\S+) +(\S+)$", done.stdout, re.MULTILINE)
    assert len(rows) == 2 and rows[0][1] >= rows[1][1] and f"Best: trial {rows[0][0]}" in done.stdout
    applied = project.python("-m", "flows.study", "--apply")
    assert applied.returncode == 0 and "params.yaml changed" in applied.stdout, applied.stdout
    student = read_yaml(project.folder / "params.yaml")["student"]
    assert (student["network"]["architecture"], f"{student['alpha']:.3g}") == rows[0][2:]
    again = project.python("-m", "flows.study", "--apply")
    assert again.returncode == 0 and "has these values already" in again.stdout, again.stdout
    # Only a change of the study itself: its stages are still those of the project.
    project.set(student__network__architecture="resnet", student__alpha="auto")
    project.set(study__search={"student.network.dropout": [1.5]}, study__trials=1)
    refused = project.python("-m", "flows.study")
    assert refused.returncode == 1 and "student.network.dropout: should be less than 1" in refused.stdout, (
        refused.stdout
    )
    assert "Traceback" not in refused.stdout.splitlines()[-1]
