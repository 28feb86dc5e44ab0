"""Out of service with one command, and back with the same one."""

import json

import pytest
from mlflow.tracking import MlflowClient

from stillhouse.errors import BadInput
from stillhouse.tracking import registry
from stillhouse.tracking.registry import PIPELINE, promote, roll_back, version_of, was_rolled_back


def test_the_champion_before_this_one_comes_back_and_stays_until_the_next_rollback(project, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{project.folder}/mlflow.db")
    monkeypatch.chdir(project.folder)
    registry.mlflow.set_tracking_uri(f"sqlite:///{project.folder}/mlflow.db")
    with pytest.raises(BadInput, match="@previous: no roll-back is possible"):
        roll_back("topics", PIPELINE)
    client = MlflowClient()
    source = client.get_model_version("topics", "1").source
    second = client.create_model_version("topics", source)
    promote(registry.get_version("topics", int(second.version)), PIPELINE)
    assert [version_of("topics", alias).number for alias in ("champion", "previous")] == [2, 1]

    done = project.python("-m", "flows.rollback")
    assert done.returncode == 0 and "topics: version 1 is @champion again, version 2 is @previous." in done.stdout
    gone = version_of("topics", "previous")
    assert gone.number == 2 and was_rolled_back(gone) and not was_rolled_back(version_of("topics", "champion"))
    assert client.get_model_version("topics", "2").description.startswith("Rolled back to version 1 on ")

    now, before = roll_back("topics", PIPELINE)
    assert (now.number, before.number) == (2, 1)
    assert was_rolled_back(version_of("topics", "previous")) and not was_rolled_back(version_of("topics", "champion"))


def test_what_was_rolled_back_is_not_promoted_again_by_a_run(project):
    project.mlflow(
        """
client.create_model_version('topics', client.get_model_version('topics', '1').source)
client.set_model_version_tag('topics', '1', 'stillhouse.rolled_back', '2026-11-25 12:00')
client.delete_registered_model_alias('topics', 'champion')""",
    )
    again = project.dvc("repro", "--single-item", "--force", "register")
    assert again.returncode == 0, again.stdout
    assert (
        "version 1 was rolled back on 2026-11-25 12:00 and is not promoted; `stillhouse rollback` restores it"
        in again.stdout
    )
    code = "print(json.dumps([list(client.get_registered_model('topics').aliases), "
    code += "len(client.search_model_versions(\"name = 'topics'\"))]))"
    aliases, versions = json.loads(project.mlflow(code))
    assert "champion" not in aliases and versions == 2  # identical files are registered only once
