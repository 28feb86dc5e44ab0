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
from stillhouse.tracking import journal, remaining, runs, sender, store


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A project's folder with a store of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    monkeypatch.setattr(journal, "_warned", set())
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
    monkeypatch.setattr(journal, "RETRY_AFTER_S", 0.0)
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
        assert remaining.send_remaining() == 0 and not list(journal.journal_home().glob("*/"))
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
    (folder,) = journal.journal_home().glob("*/")
    with (folder / "entries.jsonl").open("a") as lines:
        lines.write('{"what": "metr')  # as a power cut may leave it
    assert remaining.send_remaining() == 0
    found = only_run()
    assert found.info.status == "KILLED" and metric(found, "loss") == [(1, 2.0), (2, 1.0)]
    assert not list(journal.journal_home().iterdir())


def test_a_run_that_is_at_work_is_left_alone(here):
    with runs.stage_run("stillhouse", "control") as run:
        run.metrics({"loss": 1.0}, step=1)
        assert remaining.send_remaining() == 0 and only_run().info.status == "RUNNING"


def test_a_crash_while_a_run_is_created_makes_no_second_one(here, monkeypatch):
    create = sender.Sender.create

    def crash(self, created_before, logged):
        create(self, created_before, logged)
        raise ConnectionError("cut off before the answer came")

    with monkeypatch.context() as during:
        during.setattr(sender.Sender, "create", crash)
        with runs.stage_run("stillhouse", "control") as run:
            run.metrics({"loss": 1.0}, step=1)
    assert remaining.send_remaining() == 0
    assert metric(only_run(), "loss") == [(1, 1.0)]


def test_what_mlflow_refuses_is_said_and_holds_up_nothing(here, caplog):
    with runs.stage_run("stillhouse", "control") as run:
        run.params({"seed": 1})
        run.params({"seed": 2})
        run.metrics({"loss": 1.0}, step=1)
    assert "MLflow refused params" in caplog.text
    assert only_run().data.params == {"seed": "1"} and only_run().info.status == "FINISHED"


def dead(name: str, **metrics: float) -> Path:
    """The journal of a process that died after it logged ``metrics``, of which the store has nothing."""
    made = journal.Journal.begin("stillhouse", name, {"stillhouse.kind": "stage"})
    made._not_before = float("inf")
    for key, value in metrics.items():
        made.record("metrics", points=[(key, value, 0)])
    made._lock.release()
    return made._folder


def names_and_losses() -> dict[str, float]:
    found = MlflowClient(store.tracking_uri()).search_runs([store.connect("stillhouse")])
    return {run.info.run_name: run.data.metrics.get("loss") for run in found}


@pytest.fixture
def away(monkeypatch):
    """Nothing is sent until the fixture's function is called."""
    send = journal.Journal.send
    monkeypatch.setattr(journal.Journal, "send", lambda self: False)
    return lambda: monkeypatch.setattr(journal.Journal, "send", send)


def test_a_missing_artifact_is_logged_and_skipped_and_holds_up_nothing(here, away, caplog):
    (here / "card.json").write_text("{}")
    folder = dead("first", loss=1.0)
    made = journal.Journal(folder, journal.FileLock(f"{folder}.lock", thread_local=False))
    made.record("artifact", path=str(here / "card.json"), folder=None)
    made.record("metrics", points=[("after", 2.0, 0)])
    dead("second", loss=3.0)
    next(folder.glob("files/*/card.json")).unlink()
    away()
    assert remaining.send_remaining() == 0 and names_and_losses() == {"first": 1.0, "second": 3.0}
    assert "card.json is not sent to MLflow: the file is missing" in caplog.text
    assert not list(journal.journal_home().iterdir())


def test_artifacts_that_cannot_be_copied_do_not_end_the_work(here, caplog):
    with runs.stage_run("stillhouse", "control") as run:
        run.artifact(here / "gone.json")
        run.metrics({"loss": 1.0})
    assert only_run().info.status == "FINISHED" and only_run().data.metrics == {"loss": 1.0}
    assert "gone.json is not sent to MLflow" in caplog.text


def test_a_journal_that_disappears_before_it_is_locked_is_no_error(here, away, monkeypatch):
    gone, other = dead("gone"), dead("other", loss=1.0)
    away()
    acquire = remaining.FileLock.acquire

    def late(self, *args, **kwargs):
        taken = acquire(self, *args, **kwargs)
        if Path(self.lock_file).stem == gone.name:
            journal.shutil.rmtree(gone)
        return taken

    monkeypatch.setattr(remaining.FileLock, "acquire", late)
    assert remaining.send_remaining() == 0 and names_and_losses() == {"other": 1.0}
    assert not other.exists() and not list(journal.journal_home().iterdir())


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: (folder / "state.json").write_text('{"run": nul'),
        lambda folder: (folder / "state.json").write_text("[]"),
        lambda folder: (folder / "state.json").unlink(),
        lambda folder: (folder / "entries.jsonl").open("ab").write(b'{"what": "metr'),
        lambda folder: (folder / "entries.jsonl").open("ab").write(b"\x00" * 500),
        lambda folder: (folder / "entries.jsonl").open("ab").write(b'[1]\n{"what": "metrics"}\n{"what": "nonsense"}\n'),
    ],
)
def test_a_damaged_journal_loses_what_was_damaged_and_nothing_else(here, damage):
    with runs.stage_run("stillhouse", "first") as run:
        run._journal._not_before = float("inf")
        run.metrics({"loss": 1.0})
        folder, lock = run._journal._folder, run._journal._lock
        lock.release()
        damage(folder)
        dead("second", loss=2.0)
        assert remaining.send_remaining() == 0 and names_and_losses() == {"first": 1.0, "second": 2.0}


def test_a_journal_without_its_first_line_is_set_aside_and_the_others_are_sent(here, away, caplog):
    folder = dead("first", loss=1.0)
    lines = (folder / "entries.jsonl").read_bytes().splitlines(keepends=True)
    (folder / "entries.jsonl").write_bytes(b"\xff" + b"".join(lines))
    dead("second", loss=2.0)
    away()
    assert remaining.send_remaining() == 0 and names_and_losses() == {"second": 2.0}
    assert (here / f"{folder}.unreadable" / "entries.jsonl").exists() and "unreadable" in caplog.text
    assert remaining.send_remaining() == 0


def test_a_journal_that_cannot_be_sent_is_left_and_the_others_are_sent(here, away, monkeypatch):
    folders = sorted([dead("one", loss=1.0), dead("two", loss=2.0)])
    away()
    metrics = sender.Sender.metrics

    def fail(self, logged):
        if self._folder == folders[0]:
            raise ConnectionError("an artifact store of this run alone is away")
        metrics(self, logged)

    monkeypatch.setattr(sender.Sender, "metrics", fail)
    assert remaining.send_remaining() == 1 and folders[0].exists() and not folders[1].exists()
    monkeypatch.setattr(sender.Sender, "metrics", metrics)
    assert remaining.send_remaining() == 0 and names_and_losses() == {"one": 1.0, "two": 2.0}


def test_a_journal_that_may_not_be_locked_is_left_and_the_others_are_sent(here, away):
    folders = sorted([dead("one", loss=1.0), dead("two", loss=1.0)])
    away()
    lock = Path(f"{folders[0]}.lock")
    lock.unlink(missing_ok=True)
    lock.mkdir()  # as of another user; root may open any file
    assert remaining.send_remaining() == 1 and folders[0].exists() and not folders[1].exists()


def test_on_a_full_disk_entries_wait_in_memory_and_the_work_goes_on(here, monkeypatch, caplog):
    from stillhouse.tracking import lines

    full = True
    open_ = Path.open

    class Full:
        """A file that takes half of what is written."""

        def __init__(self, file):
            self.file = file

        def __enter__(self):
            return self

        def __exit__(self, *_):
            self.file.close()

        def tell(self):
            return self.file.tell()

        def write(self, data):
            self.file.write(data[: len(data) // 2])
            self.file.flush()
            raise OSError(28, "No space left on device")

    def limited(self, mode="r", *args, **kwargs):
        file = open_(self, mode, *args, **kwargs)
        return Full(file) if full and mode == "ab" else file

    monkeypatch.setattr(lines.Path, "open", limited)
    with runs.stage_run("stillhouse", "control") as run:
        run._journal._not_before = float("inf")
        run.metrics({"loss": 1.0}, step=1)
        folder = run._journal._folder
        assert (folder / "entries.jsonl").read_bytes() == b"" and "held in memory" in caplog.text
        full = False
        run.metrics({"loss": 2.0}, step=2)
        assert len((folder / "entries.jsonl").read_bytes().splitlines()) == 2
        full = True
        run._journal._not_before = 0.0
        run.metrics({"loss": 3.0}, step=3)
    assert metric(only_run(), "loss") == [(1, 1.0), (2, 2.0), (3, 3.0)] and only_run().info.status == "FINISHED"


def test_half_of_a_surrogate_pair_in_a_label_is_logged_as_a_question_mark(here):
    with runs.stage_run("stillhouse", "control") as run:
        run.params({"label": "a\ud83d"})
        run.metrics({"loss": 1.0})
    assert only_run().data.params == {"label": "a?"} and only_run().data.metrics == {"loss": 1.0}


def test_a_failing_run_ends_as_failed_with_its_own_error(here):
    with pytest.raises(BadInput, match="the user's mistake"), runs.stage_run("stillhouse", "control"):
        raise BadInput("the user's mistake")
    assert only_run().info.status == "FAILED"


def test_a_damaged_database_is_named_with_what_to_do(here):
    (here / "mlflow.db").write_bytes(b"no database at all " * 100)
    with pytest.raises(BadInput, match=r"mlflow.db, is damaged. Restore it from a backup"):
        store.connect("stillhouse")
