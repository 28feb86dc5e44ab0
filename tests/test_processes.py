"""What a run starts never outlives it, and what others do to DVC's lock is respected."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from project import ROOT

from stillhouse.pipeline import leftovers, outputs, rwlock
from stillhouse.pipeline.guard import GUARD
from stillhouse.pipeline.guarded import guarded

LINUX = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="prctl is Linux's")
SLEEP = "import time; print('up', flush=True); time.sleep(60)"


def gone(pid: int, within: float = 10) -> bool:
    deadline = time.time() + within
    while time.time() < deadline:
        try:
            if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
                return True
        except psutil.NoSuchProcess:
            return True
        time.sleep(0.05)
    return False


@LINUX
def test_a_guard_that_is_killed_takes_along_what_it_started_and_the_stage_below_that(tmp_path):
    stage = f"import sys; sys.path.insert(0, {str(ROOT)!r})\n"
    stage += "from stillhouse.pipeline.leftovers import end_with_guard\nend_with_guard()\n" + SLEEP
    code = "import subprocess, sys\n"  # as DVC, which starts a stage in a shell
    code += f"child = subprocess.Popen([sys.executable, '-c', {stage!r}], start_new_session=True)\n"
    code += "open('pid', 'w').write(str(child.pid)); child.wait()"
    guard = guarded([sys.executable, "-c", code], 4, subprocess.PIPE, tmp_path)
    assert guard.stdout.readline() == "up\n"
    stage_pid = int((tmp_path / "pid").read_text())
    (command,) = psutil.Process(guard.pid).children()
    os.kill(guard.pid, signal.SIGKILL)
    assert gone(command.pid) and gone(stage_pid)


def orphan(folder: Path, guard: int) -> subprocess.Popen:
    process = subprocess.Popen(
        [sys.executable, "-c", SLEEP],
        cwd=folder,
        env={**os.environ, GUARD: str(guard)},
        stdout=subprocess.PIPE,
    )
    process.stdout.readline()
    return process


def test_the_next_run_ends_what_a_killed_one_left_and_nothing_else(tmp_path):
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    for name in ("project/.stillhouse/labels/all-13", "other"):
        (tmp_path / name).mkdir(parents=True)
    project = tmp_path / "project"
    left = [orphan(project, dead.pid), orphan(project / ".stillhouse" / "labels" / "all-13", dead.pid)]
    others = [orphan(project, os.getpid()), orphan(tmp_path / "other", dead.pid)]
    logged = []
    try:
        leftovers.end_leftovers(logged.append, project)
        assert all(gone(process.pid) for process in left) and not any(gone(process.pid, 0.1) for process in others)
        assert len(logged) == 2 and f"ending process {left[0].pid}" in " ".join(logged)
        assert leftovers.find_leftovers(project) == []
    finally:
        for process in left + others:
            process.kill()
            process.wait()


@pytest.fixture
def held(tmp_path, monkeypatch):
    """A project whose DVC lock has one entry, of this process; whether it stays once :mod:`rwlock` looked."""
    file = tmp_path / rwlock.RWLOCK
    file.parent.mkdir(parents=True)

    def stays(cmd: str = "pull", pid: int | None = None) -> bool:
        entry = {"pid": pid or os.getpid(), "cmd": cmd}
        file.write_text(json.dumps({"write": {"/x": entry}, "read": {"/y": [entry]}}))
        others = rwlock.remove_dead_entries(tmp_path)
        left = json.loads(file.read_text())
        assert bool(left["write"]) == bool(left["read"]) == bool(others)
        return bool(others)

    return stays


def test_a_number_that_is_another_program_now_stops_nobody(held):
    assert not held()


def test_another_users_dvc_is_at_work_unless_its_process_is_younger_than_its_entry(held, monkeypatch):
    monkeypatch.setattr(rwlock, "is_dvc", lambda words: True)

    def denied(self):
        raise psutil.AccessDenied(self.pid)

    monkeypatch.setattr(psutil.Process, "cwd", denied)
    assert held()
    monkeypatch.setattr(psutil.Process, "create_time", lambda self: time.time() + 100)
    assert not held()


def test_a_process_that_the_system_hides_is_alive(held, monkeypatch):
    def hidden(pid):
        raise psutil.NoSuchProcess(pid)

    monkeypatch.setattr(psutil, "Process", hidden)
    assert held()  # it exists, all the same
    monkeypatch.setattr(psutil, "pid_exists", lambda pid: False)
    assert not held()


def test_entries_of_another_container_stay_but_for_those_of_a_flow(held, tmp_path, monkeypatch):
    here = {"host": "a", "boot": "1", "processes": "pid:[1]"}
    monkeypatch.setattr(rwlock, "_current_place", lambda: here)
    rwlock.record_place(tmp_path)
    assert not held()
    here = {"host": "b", "boot": "1", "processes": "pid:[2]"}
    assert held("repro") and not held(f"dvc {rwlock.OF_A_FLOW} student")
    assert held("repro")
    rwlock.record_place(tmp_path)
    assert held("repro")  # the place stays that of the entries
    (message,) = rwlock.living_entries(tmp_path)
    assert "(repro, elsewhere)" in message
    here = {"host": "a", "boot": "2", "processes": "pid:[1]"}  # the first host after a restart
    assert not held("repro")


HANGING = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])
open('pid', 'w').write(str(child.pid))
time.sleep(60)
"""


def test_outputs_that_take_too_long_to_come_back_are_named_with_the_command(tmp_path, monkeypatch):
    (tmp_path / "dvc.py").write_text(HANGING)
    (tmp_path / "dvc.lock").write_text("stages:\n  student:\n    cmd: x\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(outputs, "TIMEOUT_S", 3)
    logged = []
    outputs.restore_outputs("student", logged.append, tmp_path)
    assert logged == [
        "the last outputs of student were not all restored (stopped after 0 minutes). Restore them: "
        "dvc checkout --force student"
    ]
    assert gone(int((tmp_path / "pid").read_text()))
    outputs.restore_outputs("teacher", logged.append, tmp_path)  # of which nothing was kept
    assert len(logged) == 1
    (tmp_path / "dvc.py").write_text("import sys; sys.exit('ERROR: the cache is empty')")
    outputs.restore_outputs("student", logged.append, tmp_path)
    assert "(ERROR: the cache is empty)" in logged[1]
    missing = "ERROR: Checkout failed for following targets: student\\nIs your cache up to date?\\n<https://...>"
    (tmp_path / "dvc.py").write_text(f"import sys; sys.exit('{missing}')")
    outputs.restore_outputs("student", logged.append, tmp_path)  # a fresh clone: there were none
    assert len(logged) == 2
