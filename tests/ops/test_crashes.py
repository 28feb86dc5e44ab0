"""Every place at which a run may die, by every signal: the next one goes on, to the same bytes, without a human."""

import shutil
import time
from pathlib import Path

import pytest
from project import Project
from ruamel.yaml import YAML

from ops.test_stopping import processes_of, results, runs

# In the order in which a run comes by: it dies at the first, the next one at the second, and so on.
PLACES = {
    "holding a place on the GPU": "stillhouse.pipeline.runner:run_stage:before",  # of the flow's process
    "outputs were removed": "dvc.stage:Stage.remove_outs:after",  # of DVC's
    "MLflow has it, the journal does not know": "stillhouse.tracking.journal:Journal._save_state:before",  # of a stage's
    "in work": "stillhouse.pipeline.stage:folder_md5:before",
    "amid publishing": "stillhouse.pipeline.stage:_move:after",
    "dvc.lock was not written": "dvc.dvcfile:Lockfile.dump_stages:before",
    "registered, without an alias": "stillhouse.tracking.registry:ensure_challenger:before",
}
UNDONE = ("student", "compress", "evaluate", "register")


def undo(project: Project) -> None:
    """Take the project back to where the student is to be trained, as if no run had come further."""
    for name in UNDONE:
        shutil.rmtree(project.folder / "outputs" / name)
    shutil.rmtree(project.folder / ".dvc" / "cache" / "runs")
    (project.folder / "mlflow.db").unlink()
    lock = project.folder / "dvc.lock"
    yaml = YAML()
    locked = yaml.load(lock)
    for name in UNDONE:
        del locked["stages"][name]
    yaml.dump(locked, lock)


@pytest.mark.timeout(900)
@pytest.mark.parametrize("number", ["SIGTERM", "SIGHUP", "SIGKILL"])
def test_a_run_may_die_anywhere_and_the_next_one_goes_on(project, finished, number):
    undo(project)
    shutil.copy(Path(__file__).parent / "crashing.py", project.folder / "sitecustomize.py")
    crashed = project.folder / "crashed"
    for place, where in PLACES.items():
        done = project.flow(CRASH=f"{where}:{number}", CRASH_FOLDER=str(project.folder))
        assert crashed.exists(), (place, done.stdout)
        assert done.returncode != 0, (place, done.stdout)
        deadline = time.time() + 60
        while processes_of(project):
            assert time.time() < deadline, (place, processes_of(project))
            time.sleep(0.1)
        crashed.unlink()
    last = project.flow()
    assert last.returncode == 0 and "Traceback" not in last.stdout, last.stdout
    assert "topics version 1 (@champion)" in last.stdout, last.stdout
    assert results(project) == results(finished)
    assert {status for _, status in runs(project)} <= {"FINISHED", "KILLED", "FAILED"}
    assert not list((project.folder / ".stillhouse" / "tracking").glob("*/"))
    assert "up to date" in project.dvc("status").stdout and not processes_of(project)
