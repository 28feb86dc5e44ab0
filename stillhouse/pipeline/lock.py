"""One run at a time works on a project: a file lock that the operating system frees when its process ends.

Flows take it for their whole time. Under a bare ``dvc repro`` nobody does: its stages refuse to run beside a flow,
and a flow waits for a ``dvc repro`` that was there first.
"""

import contextlib
import json
import os
import shlex
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import psutil
from filelock import FileLock, Timeout

from stillhouse.errors import BadInput
from stillhouse.pipeline.leftovers import end_left_over
from stillhouse.pipeline.rwlock import is_dvc, note_place
from stillhouse.pipeline.scm import settle_scm
from stillhouse.project import STATE

HOLDER = "STILLHOUSE_HOLDER"  # set for the children of a flow: the project is theirs already
LOCK, NOTE = STATE / "project.lock", STATE / "project.json"
LOOK_S, SAY_S = 0.5, 60.0
_lock: FileLock | None = None


def stage_note(address: str) -> Path:
    """Where a stage's process says for its flow how it ended."""
    return STATE / f"stage-{address}.json"


@contextmanager
def project_lock(when_busy: Literal["wait", "fail"], say: Callable[[str], None]) -> Iterator[None]:
    """Hold the project for the time of the block; a block within it holds it already.

    Raises:
        BadInput: another run works on it, and ``when_busy`` is ``fail``.
    """
    global _lock
    STATE.mkdir(parents=True, exist_ok=True)
    if _lock is None or Path(_lock.lock_file) != LOCK.resolve():
        _lock = FileLock(LOCK.resolve(), thread_local=False)
    lock = _lock
    within = lock.is_locked
    if within:
        lock.acquire()
    else:
        _wait(lock, when_busy, say)
    try:
        if not within:
            end_left_over(say)
            settle_scm(say)
            note_place()  # dead entries go
            _write_note({**_about(psutil.Process()), "flow_runs": unfinished_runs()})
        yield
    finally:
        if not within and not unfinished_runs():
            NOTE.unlink(missing_ok=True)
        lock.release()


def _wait(lock: FileLock, when_busy: str, say: Callable[[str], None]) -> None:
    start, said = time.time(), 0.0
    while busy := _busy(lock):
        told = f"another run works on this project ({busy})"
        if when_busy == "fail":
            raise BadInput(f"{told[0].upper()}{told[1:]}. Try again when it has ended, or set flow.when_busy: wait.")
        if time.time() - said >= SAY_S:
            since = f", since {datetime.fromtimestamp(start):%H:%M:%S}" if said else ""
            say(f"waiting{since}: {told}")
            said = time.time()
        time.sleep(LOOK_S)


def _busy(lock: FileLock) -> str:
    """Who works on the project; nobody, and then the lock is taken."""
    if others := _repros(guarded=False):  # looked for first, so that their stages never meet this lock
        return others
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return holder()
    if others := _repros(guarded=True):
        lock.release()
    return others


def refuse_beside_a_flow() -> None:
    """For a stage's own process: raise BadInput where a flow that did not start it holds the project."""
    if os.environ.get(HOLDER):
        return
    STATE.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(LOCK.resolve(), timeout=2 * LOOK_S):  # a flow that looks whether it is free lets go at once
            return
    except Timeout:
        raise BadInput(
            f"another run works on this project ({holder()}). Try again when it has ended; what it makes need not "
            "be made again."
        ) from None


def is_held() -> bool:
    """Whether a run works on the project."""
    try:
        with FileLock(LOCK.resolve(), timeout=0):
            return False
    except Timeout:
        return True


def holder() -> str:
    """Who holds the lock: its process, command and since when."""
    note = _read_note()
    return f"process {note['pid']}, {note['command']}, since {note['since']}" if "pid" in note else "just started"


def _repros(guarded: bool) -> str:
    """Each ``dvc repro`` of this project that is running; those that a flow started, and guards, only if asked for."""
    mine = {os.getpid(), *(process.pid for process in psutil.Process().parents())}
    here, found = Path.cwd(), []
    for process in psutil.process_iter(["cmdline"]):
        words = process.info["cmdline"] or []
        if process.pid in mine or "repro" not in words or not is_dvc(words) or _is_guard(words):
            continue
        with contextlib.suppress(psutil.Error, OSError):
            parent = process.parent()
            if Path(process.cwd()) == here and (guarded or not (parent and _is_guard(parent.cmdline()))):
                about = _about(process)
                found.append(f"process {about['pid']}, {about['command']}, since {about['since']}")
    return "; ".join(found)


def _is_guard(words: list[str]) -> bool:
    return any(word.endswith("guard.py") for word in words)


def _about(process: psutil.Process) -> dict[str, Any]:
    words = process.cmdline()
    told = shlex.join([Path(words[0]).name, *words[1:]]) if words else process.name()
    since = datetime.fromtimestamp(process.create_time())
    return {"pid": process.pid, "command": told, "since": f"{since:%Y-%m-%d %H:%M:%S}"}


def unfinished_runs() -> list[str]:
    """Prefect's flow runs that worked on this project and were not seen to end."""
    return [str(run) for run in _read_note().get("flow_runs", [])]


def note_runs(runs: list[str]) -> None:
    """Write down which flow runs work on this project now; only for the holder of the lock."""
    _write_note({**_read_note(), "flow_runs": runs})


def _read_note() -> dict[str, Any]:
    try:
        note = json.loads(NOTE.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return note if isinstance(note, dict) else {}


def _write_note(note: dict[str, Any]) -> None:
    partial = NOTE.with_suffix(".partial")
    partial.write_text(json.dumps(note), encoding="utf-8")
    partial.replace(NOTE)
