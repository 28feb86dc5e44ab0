"""The stages of a flow write journals, and the flow sends them to MLflow."""

import os
import subprocess
import sys

from mlflow.tracking import MlflowClient
from project import ROOT

from stillhouse.tracking import journal, remaining, runs, store

STAGE = """
import sys
from stillhouse.tracking import runs
with runs.stage_run("stillhouse", "student") as run:
    run.metrics({"loss": 2.0}, step=1)
    print("mlflow" in sys.modules, flush=True)
    sys.stdin.readline()
    run.metrics({"loss": 1.0}, step=2)
"""


def stage_losses() -> tuple[str, list[float]]:
    client = MlflowClient(store.tracking_uri())
    (found,) = client.search_runs([store.connect("stillhouse")], "tags.`stillhouse.stage` = 'student'")
    points = client.get_metric_history(found.info.run_id, "loss")
    return found.info.status, [point.value for point in points]


def begin_stage() -> "subprocess.Popen[str]":
    """A stage in a process of its own, after its first metric."""
    variables = {**os.environ, "PYTHONPATH": str(ROOT), journal.DELEGATED: "1"}
    pipe = subprocess.PIPE
    stage = subprocess.Popen([sys.executable, "-c", STAGE], env=variables, stdin=pipe, stdout=pipe, text=True)
    assert stage.stdout and stage.stdout.readline() == "False\n"  # the stage has not loaded MLflow
    return stage


def test_a_flow_sends_what_its_stage_logs_while_the_stage_runs_and_after_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    monkeypatch.setattr(remaining, "_next_delivery", 0.0)
    with runs.flow_run("stillhouse", "flow", "1"):
        stage = begin_stage()
        remaining.deliver()
        assert stage_losses() == ("RUNNING", [2.0])
        stage.communicate("go on\n")
        assert stage.returncode == 0 and stage_losses() == ("RUNNING", [2.0])
        assert remaining.send_remaining() == 0
        assert stage_losses() == ("FINISHED", [2.0, 1.0])
    assert not list(journal.journal_home().iterdir())


def test_a_killed_stage_is_ended_by_its_flow_with_all_that_it_logged(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    stage = begin_stage()
    stage.kill()
    stage.communicate()
    assert remaining.send_remaining() == 0
    assert stage_losses() == ("KILLED", [2.0])


def test_a_run_of_another_store_is_not_delivered_to_this_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/other.db")
    stage = begin_stage()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    monkeypatch.setattr(remaining, "_next_delivery", 0.0)
    remaining.deliver()
    assert not MlflowClient(store.tracking_uri()).search_runs([store.connect("stillhouse")])
    stage.communicate("go on\n")
