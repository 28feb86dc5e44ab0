"""The lock of a project: one run at a time. It is a file lock, which the operating system frees when its process ends.

A flow holds the lock until it ends. A plain ``dvc repro`` does not take it: its stages refuse to run beside a flow, and
a flow waits for a ``dvc repro`` that started earlier.
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
from stillhouse.pipeline.leftovers import end_leftovers
from stillhouse.pipeline.rwlock import is_dvc, record_place
from stillhouse.pipeline.scm import update_no_scm
from stillhouse.project import STATE

HOLDER = "STILLHOUSE_HOLDER"  # environment variable set for the children of a flow, which holds the lock for them
LOCK, NOTE = STATE / "project.lock", STATE / "project.json"
POLL_S, LOG_EVERY_S = 0.5, 60.0
_lock: FileLock | None = None


def stage_note(address: str) -> Path:
    """The file in which a stage's process records its outcome for the flow."""
    return STATE / f"stage-{address}.json"


@contextmanager
def project_lock(when_busy: Literal["wait", "fail"], log: Callable[[str], None]) -> Iterator[None]:
    """Hold the lock of the project during the block. Blocks may be nested within one process.

    Raises:
        BadInput: another run works on the project, and ``when_busy`` is ``fail``.
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
        _wait_for(lock, when_busy, log)
    try:
        if not within:
            end_leftovers(log)
            update_no_scm(log)
            record_place()  # also removes dead entries of DVC's lock
            _write_note({**_describe(psutil.Process()), "flow_runs": unfinished_flow_runs()})
        yield
    finally:
        if not within and not unfinished_flow_runs():
            NOTE.unlink(missing_ok=True)
        lock.release()


def _wait_for(lock: FileLock, when_busy: str, log: Callable[[str], None]) -> None:
    start, logged = time.time(), 0.0
    while busy := _try_to_take(lock):
        reason = f"another run works on this project ({busy})"
        if when_busy == "fail":
            raise BadInput(
                f"{reason[0].upper()}{reason[1:]}. Try again when it has ended, or set flow.when_busy: wait."
            )
        if time.time() - logged >= LOG_EVERY_S:
            since = f", since {datetime.fromtimestamp(start):%H:%M:%S}" if logged else ""
            log(f"waiting{since}: {reason}")
            logged = time.time()
        time.sleep(POLL_S)


def _try_to_take(lock: FileLock) -> str:
    """Try to take the lock. Returns a description of the run that has it, or an empty string if it is taken now."""
    if others := _running_repros(guarded=False):  # checked first, so that their stages never find this lock held
        return others
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return holder()
    if others := _running_repros(guarded=True):
        lock.release()
    return others


def refuse_beside_a_flow() -> None:
    """In a stage's process: raise BadInput if a flow that did not start it holds the lock of the project."""
    if os.environ.get(HOLDER):
        return
    STATE.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(LOCK.resolve(), timeout=2 * POLL_S):  # a waiting flow that tries the lock holds it for a moment
            return
    except Timeout:
        raise BadInput(
            f"another run works on this project ({holder()}). Try again when it has ended; its results are "
            "used, not computed again."
        ) from None


def is_held() -> bool:
    """Whether a run works on the project."""
    try:
        with FileLock(LOCK.resolve(), timeout=0):
            return False
    except Timeout:
        return True


def holder() -> str:
    """Describe the holder of the lock: its process, command and start."""
    note = _read_note()
    return f"process {note['pid']}, {note['command']}, since {note['since']}" if "pid" in note else "just started"


def _running_repros(guarded: bool) -> str:
    """Describe each running ``dvc repro`` of this project; those that a flow started only if ``guarded``."""
    mine = {os.getpid(), *(process.pid for process in psutil.Process().parents())}
    here, found = Path.cwd(), []
    for process in psutil.process_iter(["cmdline"]):
        words = process.info["cmdline"] or []
        if process.pid in mine or "repro" not in words or not is_dvc(words) or _is_guard(words):
            continue
        with contextlib.suppress(psutil.Error, OSError):
            parent = process.parent()
            if Path(process.cwd()) == here and (guarded or not (parent and _is_guard(parent.cmdline()))):
                about = _describe(process)
                found.append(f"process {about['pid']}, {about['command']}, since {about['since']}")
    return "; ".join(found)


def _is_guard(words: list[str]) -> bool:
    return any(word.endswith("guard.py") for word in words)


def _describe(process: psutil.Process) -> dict[str, Any]:
    words = process.cmdline()
    command = shlex.join([Path(words[0]).name, *words[1:]]) if words else process.name()
    since = datetime.fromtimestamp(process.create_time())
    return {"pid": process.pid, "command": command, "since": f"{since:%Y-%m-%d %H:%M:%S}"}


def unfinished_flow_runs() -> list[str]:
    """Return Prefect's flow runs that worked on this project and have no recorded end."""
    return [str(run) for run in _read_note().get("flow_runs", [])]


def record_flow_runs(runs: list[str]) -> None:
    """Record the flow runs that work on this project now. Only the holder of the lock may call it."""
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
