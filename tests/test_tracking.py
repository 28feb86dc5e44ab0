"""What runs say reaches MLflow, whatever happens to it or to them in the meantime."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from mlflow.tracking import MlflowClient
from project import ROOT
from servers import free_port, mlflow_server

from stillhouse.errors import BadInput, Unavailable
from stillhouse.tracking import journal, runs, store


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A project's folder with a store of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    monkeypatch.setattr(journal, "_complained", set())
    return tmp_path


def only_run():
    (found,) = MlflowClient(store.tracking_uri()).search_runs([store.connect("stillhouse")])
    return found


def metric(run, name: str) -> list[tuple[int, float]]:
    client = MlflowClient(store.tracking_uri())
    return [(point.step, point.value) for point in client.get_metric_history(run.info.run_id, name)]


def test_what_is_said_while_no_store_answers_arrives_when_one_does(here, monkeypatch, caplog):
    port = free_port()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://alice:hush@127.0.0.1:{port}")
    monkeypatch.setattr(journal, "QUIET_S", 0.0)
    (here / "card.json").write_text('{"rows": 3}')
    before = time.time()
    with runs.stage_run("stillhouse", "student") as run:
        run.params({"student": {"alpha": 0.9}})
        run.metrics({"loss": 1.5, "note": "no number"}, step=1)
        run.series("norm", [0.5, float("nan"), 0.25], first_step=10)
        run.artifact(here / "card.json")
        run.dataset(here / "card.json", "train")
        (here / "card.json").unlink()  # what it was is kept
        with pytest.raises(Unavailable, match=r"alice:\*\*\*@"):
            _ = run.id
    after = time.time()
    with pytest.raises(Unavailable), runs.flow_run("stillhouse", "flow", "1"):  # a flow says so before it begins
        pass
    told = [line.message for line in caplog.records if "does not answer" in line.message]
    assert len(told) == 1 and "hush" not in told[0] and "waits in" in told[0]
    with mlflow_server(here, f"sqlite:///{here}/served.db", str(here / "kept"), port).running():
        assert journal.send_left() == 0 and not list(journal.home().glob("*/"))
        found = only_run()
        assert found.info.status == "FINISHED" and found.info.run_name == "student"
        assert before <= found.info.start_time / 1000 <= found.info.end_time / 1000 <= after
        assert found.data.params == {"student.alpha": "0.9"} and metric(found, "loss") == [(1, 1.5)]
        assert [step for step, _ in metric(found, "norm")] == [10, 11, 12]
        assert [one.dataset.name for one in found.inputs.dataset_inputs] == ["card"]
        client = MlflowClient(store.tracking_uri())
        assert Path(client.download_artifacts(found.info.run_id, "card.json")).read_text() == '{"rows": 3}'


KILLED = """
import os, signal
from stillhouse.tracking import runs
with runs.stage_run("stillhouse", "teacher") as run:
    run.metrics({"loss": 2.0}, step=1)
    run._journal._not_before = float("inf")  # what is not sent yet
    run.metrics({"loss": 1.0}, step=2)
    print("said", flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_killed_process_run_is_ended_by_the_next_with_all_that_it_said(here):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    killed = subprocess.run([sys.executable, "-c", KILLED], env=environment, capture_output=True, text=True)
    assert killed.stdout == "said\n" and only_run().info.status == "RUNNING"
    (folder,) = journal.home().glob("*/")
    with (folder / "said.jsonl").open("a") as lines:
        lines.write('{"what": "metr')  # as a power cut may leave it
    assert journal.send_left() == 0
    found = only_run()
    assert found.info.status == "KILLED" and metric(found, "loss") == [(1, 2.0), (2, 1.0)]
    assert not list(journal.home().iterdir())


def test_a_run_that_is_at_work_is_left_alone(here):
    with runs.stage_run("stillhouse", "control") as run:
        run.metrics({"loss": 1.0}, step=1)
        assert journal.send_left() == 0 and only_run().info.status == "RUNNING"


def test_a_crash_while_a_run_is_created_makes_no_second_one(here, monkeypatch):
    create = journal._Sender.create

    def crash(self, asked_before, said):
        create(self, asked_before, said)
        raise ConnectionError("cut off before the answer came")

    with monkeypatch.context() as during:
        during.setattr(journal._Sender, "create", crash)
        with runs.stage_run("stillhouse", "control") as run:
            run.metrics({"loss": 1.0}, step=1)
    assert journal.send_left() == 0
    assert metric(only_run(), "loss") == [(1, 1.0)]


def test_what_mlflow_refuses_is_said_and_holds_up_nothing(here, caplog):
    with runs.stage_run("stillhouse", "control") as run:
        run.params({"seed": 1})
        run.params({"seed": 2})
        run.metrics({"loss": 1.0}, step=1)
    assert "MLflow did not take params" in caplog.text
    assert only_run().data.params == {"seed": "1"} and only_run().info.status == "FINISHED"


def test_a_failing_run_ends_as_failed_with_its_own_error(here):
    with pytest.raises(BadInput, match="the user's mistake"), runs.stage_run("stillhouse", "control"):
        raise BadInput("the user's mistake")
    assert only_run().info.status == "FAILED"


def test_a_damaged_database_is_named_with_what_to_do(here):
    (here / "mlflow.db").write_bytes(b"no database at all " * 100)
    with pytest.raises(BadInput, match=r"mlflow.db, is damaged. Bring it back from a backup"):
        store.connect("stillhouse")
