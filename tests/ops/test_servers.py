"""Reboots, remotes, full disks, moved projects, old litter: what a year brings beside crashes."""

import os
import shutil
import signal
import subprocess
import time
from contextlib import suppress

import psutil
import pytest
from project import Project
from servers import Prefect

from ops.test_stopping import begin, processes_of, results, wait_for


def last_line(text: str) -> str:
    return text.strip().splitlines()[-1]


def serve(project: Project, log, variables: dict[str, str]):
    serving = begin(project, log, "-m", "flows.schedule", **variables)
    wait_for("is being served", log, serving, 200)
    return serving


def test_after_a_reboot_the_schedule_goes_on_by_itself(project, prefect_server, tmp_path):
    project.set(student__temperature=3.0)
    prefect = Prefect(prefect_server.url.removesuffix("/health"))
    variables = {"PREFECT_API_URL": prefect.url, "PREFECT_HOME": str(tmp_path / "home")}
    serve(project, tmp_path / "first.log", variables)
    prefect.trigger("topics")
    deadline = time.time() + 120
    while "Running stage 'student'" not in (tmp_path / "first.log").read_text():
        assert time.time() < deadline, (tmp_path / "first.log").read_text()
        time.sleep(0.1)
    while left := processes_of(project):  # as when the power goes
        for line in left:
            with suppress(psutil.Error):
                psutil.Process(int(line.split()[0])).kill()
    assert set(prefect.states().values()) == {"RUNNING"}
    serving = serve(project, tmp_path / "second.log", variables)
    try:
        assert set(prefect.states().values()) == {"CRASHED"}
        run = prefect.ended(prefect.trigger("topics"), 200)
        assert run["state_type"] == "COMPLETED", (tmp_path / "second.log").read_text()
    finally:
        os.killpg(serving.pid, signal.SIGKILL)


def test_a_champion_is_pushed_to_an_s3_remote_and_comes_back_from_it(project, s3):
    for words in (
        ["add", "--default", "store", "s3://dvc/topics"],
        ["modify", "store", "endpointurl", s3["AWS_ENDPOINT_URL"]],
    ):
        assert project.dvc("remote", *words).returncode == 0
    project.set(flow__push=True, register__margin=0.01)
    done = project.flow(**s3)
    assert done.returncode == 0 and "pushed to DVC's remote" in done.stdout, done.stdout
    before = results(project)
    shutil.rmtree(project.folder / "outputs")
    shutil.rmtree(project.folder / ".dvc" / "cache")
    assert project.dvc("pull", **s3).returncode == 0
    kept = results(project)  # timings and the report lie beside what DVC keeps
    assert {name for name in before if "/answers/" in name or "/model/" in name} <= kept.keys()
    assert kept == {name: content for name, content in before.items() if name in kept}
    project.set(register__margin=0.02)
    message = project.flow(**{**s3, "AWS_ENDPOINT_URL": "http://127.0.0.1:9"})  # the remote's own address is used
    assert message.returncode == 0, message.stdout


def test_a_version_is_made_again_byte_for_byte_and_other_data_is_named(project):
    done = project.python("-m", "flows.reproduce", "1", timeout=390)
    assert done.returncode == 0, done.stdout
    assert last_line(done.stdout) == "topics version 1 was reproduced: the same bytes."
    reviews = project.folder / "data" / "reviews.csv"
    reviews.write_text(reviews.read_text() + "a new row about the oven,cooking\n")
    project.set(student__temperature=3.0)  # the project has moved on; the version has its own parameters
    other = project.python("-m", "flows.reproduce", "1", timeout=390)
    assert other.returncode == 1 and "Traceback" not in other.stdout, other.stdout
    assert "data.path: data/reviews.csv is not the data that models:/topics/1 was made from" in last_line(other.stdout)
    assert "Running stage" not in other.stdout  # refused before anything is computed
    missing = project.python("-m", "flows.reproduce", "99")
    assert missing.returncode == 1 and "has no version 99 of 'topics'" in last_line(missing.stdout)


def test_old_litter_goes_and_what_is_needed_stays(project):
    project.set(compress__quantisation="int8", register__max_size_mb=0.001)  # a version that no champion is
    assert project.flow().returncode == 0
    project.set(compress__quantisation="int8_static", register__max_size_mb=5.0)
    assert project.flow().returncode == 0
    (project.folder / ".stillhouse" / "labels" / "old").mkdir(parents=True)
    dry = project.python("-m", "flows.gc", "--days", "0", "--dry-run")
    assert dry.returncode == 0 and last_line(dry.stdout) == "Nothing was removed: --dry-run.", dry.stdout
    assert (project.folder / ".stillhouse" / "labels" / "old").exists()
    before = Prefect(project.server).states()
    done = project.python("-m", "flows.gc", "--days", "0")
    assert done.returncode == 0 and last_line(done.stdout).endswith("MB were freed."), done.stdout
    assert "flow runs in the project's own Prefect database: 0" in done.stdout  # the server is not this project's alone
    assert Prefect(project.server).states().keys() >= before.keys()
    own = project.python("-m", "flows.gc", "--days", "0", PREFECT_API_URL="")
    assert own.returncode == 0 and "flow runs in the project's own Prefect database: 1" in own.stdout, own.stdout
    assert not (project.folder / ".stillhouse" / "labels" / "old").exists()
    again = project.flow()
    assert again.returncode == 0 and "so no stage ran" in again.stdout, again.stdout
    code = "from stillhouse.serving.classifier import Classifier\n"
    code += "print(Classifier.load('models:/topics@champion').predict(['the team and the coach win a cup'])[0])"
    assert last_line(project.python("-c", code).stdout) == "sport"


def test_a_moved_project_is_told_where_its_files_were(project):
    moved = Project(project.folder.with_name("elsewhere"), project.server)
    code = "import mlflow; from mlflow.tracking import MlflowClient as C; import stillhouse.tracking.address as s\n"
    code += "mlflow.set_tracking_uri(s.tracking_uri()); e = C().get_experiment_by_name('stillhouse'); import sqlite3\n"
    code += "c = sqlite3.connect('mlflow.db'); c.execute('update experiments set artifact_location = ?', "
    code += f"('file://{project.folder}/mlartifacts',)); c.commit()"
    assert project.python("-c", code).returncode == 0  # a copy's files are where those of the first are
    project.folder.rename(moved.folder)
    done = moved.flow()
    assert done.returncode == 1 and "Traceback" not in done.stdout, done.stdout
    assert f"ln -s {moved.folder} {project.folder}" in done.stdout
    project.folder.symlink_to(moved.folder)
    assert moved.flow().returncode == 0


def test_a_full_disk_stops_a_run_by_name_and_a_finished_training_is_not_thrown_away(project):
    cache = project.folder / ".dvc" / "cache"
    kept = cache.with_name("kept")
    cache.rename(kept)
    cache.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(cache)]
    if subprocess.run(command, capture_output=True).returncode:
        pytest.skip("no file system may be mounted here")
    try:
        shutil.copytree(kept, cache, dirs_exist_ok=True)
        with suppress(OSError), (cache / "filler").open("wb") as filler:
            while True:
                filler.write(bytes(100_000))
                filler.flush()
        with (cache / "filler").open("r+b") as filler:  # room for a few lines, not for a model
            filler.truncate((cache / "filler").stat().st_size - 20_000)
        project.set(student__temperature=3.0)
        done = project.flow()
        assert done.returncode == 1 and "Traceback" not in done.stdout, done.stdout
        assert "the disk is full" in last_line(done.stdout)
        (cache / "filler").unlink()
        again = project.flow()
        assert again.returncode == 0, again.stdout
        assert "epoch 1 of 15" not in again.stdout, again.stdout
    finally:
        subprocess.run(["umount", str(cache)], check=True)


def test_a_folder_that_may_not_be_written_stops_a_run_by_name_and_loses_nothing(project):
    """As root, to whom permissions say nothing, a file system that is read only does."""
    before = results(project)
    for name, temperature in ((".", 2.0), ("outputs", 3.0), (".dvc/cache", 3.0)):
        folder = project.folder / name
        project.set(student__temperature=temperature)
        if subprocess.run(["mount", "--bind", str(folder), str(folder)], capture_output=True).returncode:
            pytest.skip("no file system may be mounted here")
        try:
            subprocess.run(["mount", "-o", "remount,bind,ro", str(folder)], check=True)
            done = project.flow()
        finally:
            subprocess.run(["umount", str(folder)], check=True)
        assert done.returncode == 1 and "Traceback" not in done.stdout, done.stdout
        last = last_line(done.stdout)
        assert "not writable" in last or "Read-only file system" in last, last
        assert results(project) == before
    project.set(student__temperature=2.0)
    again = project.flow()
    assert again.returncode == 0 and "so no stage ran" in again.stdout, again.stdout
