"""Stopped in any way, a run ends at once with all its processes, and the next one goes on to the same bytes."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from project import Project, new_project

from stillhouse import progress

# What is sent to whom in the middle of which stage's training, and the status that the flow then ends with.
STOPS = [
    ("control", signal.SIGINT, "group", 130),
    ("control", signal.SIGKILL, "alone", -9),
    ("control", signal.SIGHUP, "alone", 129),
    ("teacher", signal.SIGTERM, "alone", 143),
    ("teacher", signal.SIGINT, "alone", 130),
    ("teacher", signal.SIGHUP, "group", 129),
    ("student", signal.SIGTERM, "group", 143),
    ("student", signal.SIGKILL, "guards", -9),  # and the flow itself, at once
    ("student", signal.SIGKILL, "group", -9),
]
LATER = {"control": "epoch 1 of", "teacher": "step 20 of", "student": "epoch 1 of"}


def processes_of(project: Project) -> list[str]:
    """The command lines of all that works in the project."""
    found = []
    for process in psutil.process_iter(["cmdline", "cwd", "status"]):
        if process.info["cwd"] == str(project.folder) and process.info["status"] != psutil.STATUS_ZOMBIE:
            found.append(f"{process.pid} {' '.join(process.info['cmdline'] or [])[:200]}")
    return found


def begin(project: Project, log: Path, *command: str, **environment: str) -> subprocess.Popen:
    with log.open("w") as output:
        return subprocess.Popen(
            [sys.executable, *command],
            cwd=project.folder,
            env={**project.environment, progress.VARIABLE: "0", **environment},
            stdout=output,
            stderr=output,
            start_new_session=True,
        )


def wait_for(text: str, log: Path, child: subprocess.Popen, timeout: float = 120) -> None:
    deadline = time.time() + timeout
    while text not in log.read_text():
        assert time.time() < deadline and child.poll() is None, log.read_text()
        time.sleep(0.02)


def stop(project: Project, log: Path, stage: str, number: int, whom: str, status: int) -> None:
    child = begin(project, log, "-m", "flows.distillation")
    wait_for(f"Running stage '{stage}'", log, child)
    wait_for(LATER[stage], log, child)
    start = time.time()
    if whom == "guards":
        guards = [one for one in psutil.Process(child.pid).children() if "guard.py" in " ".join(one.cmdline())]
        assert len(guards) == 2  # of Prefect's server and of DVC
        for one in guards:
            one.suspend()  # so that none acts on the death of the flow
        for pid in (child.pid, *(one.pid for one in guards)):
            os.kill(pid, number)
    else:
        (os.killpg if whom == "group" else os.kill)(child.pid, number)
    assert child.wait(30) == status, log.read_text()
    deadline = start + (60 if number == signal.SIGKILL else 10)
    while (left := processes_of(project)) and time.time() < deadline:
        time.sleep(0.1)
    assert not left and time.time() < deadline, (number, whom, left)
    message = log.read_text()
    assert "Traceback" not in message and "Starting temporary server" not in message, (
        message
    )  # Prefect's own, which would stay
    if number != signal.SIGKILL:
        *_, last = message.strip().splitlines()
        assert last == f"Stopped by {signal.Signals(number).name}. Nothing is lost: the next run goes on from here."


def prefect_states(project: Project) -> list[str]:
    with sqlite3.connect(project.folder / ".stillhouse" / "prefect" / "prefect.db") as database:
        return [state for (state,) in database.execute("select state_type from flow_run order by created")]


def runs(project: Project) -> list[tuple[str, str]]:
    code = "found = client.search_runs([e.experiment_id for e in client.search_experiments()])\n"
    code += "print(json.dumps([(r.data.tags['stillhouse.kind'], r.info.status) for r in found]))"
    return json.loads(project.mlflow(code))


def results(project: Project) -> dict[str, bytes]:
    """What DVC keeps of every stage, but for what names a registered version."""
    files = [file for file in (project.folder / "outputs").rglob("*") if file.is_file()]
    kept = [file for file in files if file.name not in ("speed.json", "report.html", "frontier.png")]
    return {str(f.relative_to(project.folder)): f.read_bytes() for f in kept if "/register/" not in str(f)}


@pytest.mark.timeout(900)
def test_a_run_stopped_in_any_way_ends_at_once_and_the_next_goes_on_to_the_same_bytes(request, tmp_path):
    project = new_project(tmp_path / "stopped")
    project.set(flow__gpu_slots=1)  # the default: a place that a dead run kept would stop every later one
    message = tmp_path / "message"
    project.set(flow__notify=f"sh -c 'echo \"$1\" >> {message}' --")
    for number, (stage, *sent) in enumerate(STOPS):
        stop(project, tmp_path / f"{number}.log", stage, *sent)
    assert prefect_states(project)[-1] == "RUNNING"  # what the killed one left
    last = project.flow()
    assert last.returncode == 0, last.stdout
    assert "topics version 1 (@champion)" in last.stdout
    assert results(project) == results(request.getfixturevalue("finished"))  # last: the fixture takes minutes
    assert "1 earlier run(s) of stopped died; this one goes on from there" in message.read_text()
    states = prefect_states(project)
    assert states[-1] == "COMPLETED" and set(states[:-1]) == {"CRASHED"}, states
    assert {status for _, status in runs(project)} == {"FINISHED", "KILLED"}
    assert sorted(status for kind, status in runs(project) if kind == "flow") == ["FINISHED"] + ["KILLED"] * len(STOPS)
    assert not processes_of(project)
    assert not (project.folder / ".stillhouse" / "project.json").exists()
    message = "".join((tmp_path / f"{number}.log").read_text() for number in range(len(STOPS)))
    assert "resuming from" in message and "resuming after epoch" in message  # the teacher, and the small networks


def test_runs_that_meet_on_a_project_wait_for_each_other_or_say_who_holds_it(project, tmp_path):
    project.set(student__temperature=3.0)
    logs = [tmp_path / name for name in ("first", "second", "repro", "failing")]
    first = begin(project, logs[0], "-m", "flows.distillation")
    wait_for("Running stage 'student'", logs[0], first)
    second = begin(project, logs[1], "-m", "flows.distillation")
    wait_for("waiting: another run works on this project", logs[1], second)
    assert f"(process {first.pid}, python -m flows.distillation, since " in logs[1].read_text()
    repro = begin(project, logs[2], "-m", "dvc", "repro")
    project.set(flow__when_busy="fail")
    failing = begin(project, logs[3], "-m", "flows.distillation")
    assert failing.wait(60) == 1 and "Traceback" not in logs[3].read_text()
    last = logs[3].read_text().strip().splitlines()[-1]
    assert last.startswith("Another run works on this project (process ") and "flow.when_busy: wait" in last
    project.set(flow__when_busy="wait")
    assert [first.wait(200), second.wait(200)] == [0, 0], logs[0].read_text() + logs[1].read_text()
    assert "so no stage ran" in logs[1].read_text()
    repro.wait(200)
    message = logs[2].read_text()
    assert repro.returncode == 0 or "another run works on this project (process " in message or "is busy" in message, (
        message
    )
    assert "up to date" in project.dvc("status").stdout


def test_what_a_crash_damaged_is_made_again(project):
    """Or set aside by name; and an entry in DVC's lock whose process is another one now stops nobody."""
    receipt = project.folder / "outputs" / "register" / "receipt.json"
    whole = receipt.read_bytes()
    receipt.unlink()  # a link into the cache, maybe
    receipt.write_bytes(whole[:20])
    entry = {"pid": os.getpid(), "cmd": "dvc repro"}  # alive, and no DVC
    held = {"write": {str(project.folder / "outputs" / "prepare" / "metrics.json"): entry}}
    (project.folder / ".dvc" / "tmp" / "rwlock").write_text(json.dumps(held))
    done = project.flow()
    assert done.returncode == 0 and "Traceback" not in done.stdout, done.stdout
    assert receipt.read_bytes() == whole
    (project.folder / ".dvc" / "tmp" / "rwlock").write_text("{")
    assert project.flow().returncode == 0


def test_a_missing_data_path_is_told_in_the_last_line(project):
    project.set(data__path="data/nope.csv")
    done = project.flow()
    last = done.stdout.strip().splitlines()[-1]
    assert done.returncode == 1 and last.startswith("data.path: data/nope.csv does not exist. Give a file"), done.stdout
