"""Runs end with their own error, whatever the tracking store does."""

import mlflow
import pytest

from stillhouse.errors import BadInput
from stillhouse.tracking import runs, store


def test_a_store_that_is_gone_when_a_run_fails_does_not_hide_why(project, monkeypatch, caplog):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{project.folder}/mlflow.db")
    monkeypatch.chdir(project.folder)
    end = mlflow.end_run

    def gone(status):
        end(status)
        raise ConnectionError("http://alice:hush@host refused")

    monkeypatch.setattr(mlflow, "end_run", gone)
    with pytest.raises(BadInput, match="the user's mistake"), runs.stage_run("stillhouse", "control"):
        raise BadInput("the user's mistake")
    assert "does not answer any more: http://alice:***@host refused" in caplog.text
    with pytest.raises(ConnectionError), runs.stage_run("stillhouse", "control"):
        pass


def test_a_damaged_database_is_named_with_what_to_do(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    (tmp_path / "mlflow.db").write_bytes(b"no database at all " * 100)
    with pytest.raises(BadInput, match=r"mlflow.db, is damaged. Bring it back from a backup"):
        store.connect("stillhouse")
