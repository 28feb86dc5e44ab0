"""Run a stage through DVC in a child process; its output lines go to a log."""

import json
import logging
import re
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from itertools import takewhile
from pathlib import Path
from typing import Literal

from stillhouse.errors import StillhouseError
from stillhouse.params.files import read_yaml
from stillhouse.pipeline.children import child_process, lines_of
from stillhouse.pipeline.ending import ending
from stillhouse.pipeline.heartbeat import Heartbeat
from stillhouse.pipeline.lock import stage_note
from stillhouse.pipeline.outputs import restore_outputs
from stillhouse.pipeline.run_cache import unseen
from stillhouse.pipeline.rwlock import wait_for_dvc
from stillhouse.project import OUTPUTS
from stillhouse.tracking.journal import DELEGATED, HOME, journal_home
from stillhouse.tracking.remaining import deliver, send_remaining

# Hints that DVC prints for an interactive user after a stage. They are left out of the log.
DVC_HINTS = (
    "To track the changes with git",
    "git add",
    "To enable auto staging",
    "dvc config core.autostage",
    "Use `dvc push`",
    "Updating lock file",
    "Generating lock file",
    "didn't change, skipping",
    "is cached - skipping run",
    "> python -m tasks.",
)
Outcome = Literal["ran", "restored", "unchanged"]
Log = Callable[..., None]  # called with a line, and with its level if that is not INFO


class StageFailed(StillhouseError):
    """A stage's child process ended with an error.

    Attributes:
        retriable: whether another try may help.
    """

    def __init__(self, message: str, retriable: bool) -> None:
        super().__init__(message)
        self.retriable = retriable


def to_console(line: str, level: int = logging.INFO) -> None:
    """Print a log line."""
    print(line, flush=True)  # noqa: T201


def run_stage(
    name: str, timeout_s: float, force: bool = False, folder: Path = Path(), log: Log = to_console
) -> Outcome:
    """Run ``dvc repro --single-item <name>`` in its own process group, and send to MLflow what the stage logs.

    Args:
        name: the stage's name in DVC.
        timeout_s: seconds after which the stage is stopped.
        force: run the stage even if nothing changed.
        folder: the folder of the project.
        log: receives each line of output.

    Returns:
        ``ran``, ``restored`` (DVC's cache had the result of the same inputs), or ``unchanged``.

    Raises:
        StageFailed: with the message of the stage. The last good outputs are restored.
        KeyboardInterrupt: this process is being stopped.
    """
    command = [sys.executable, "-m", "dvc", "--wait-for-lock", "repro", "--single-item", name]
    note = folder / stage_note(name)
    note.unlink(missing_ok=True)
    errors: list[str] = []
    wait_for_dvc(folder, log)
    before = _state(name, folder)
    tracking = {DELEGATED: "1", HOME: str(journal_home())}
    command += ["--force"] if force else []
    # For example a class that is named "size".
    params = folder / "params.yaml"
    command += ["--no-run-cache"] if params.exists() and unseen(read_yaml(params)) else []
    process = child_process(command, timeout_s, folder, **tracking)
    with process as (child, expired), Heartbeat(name, log) as heartbeat:
        for level, line in lines_of(child):
            heartbeat.beat()
            if not any(hint in line for hint in DVC_HINTS):
                log(line, level)
                deliver()
            if line.startswith("ERROR: "):
                errors.append(line)
        status = child.wait()
    send_remaining()
    if ending.is_set():
        raise KeyboardInterrupt
    if not status:
        return _outcome(name, note, before != _state(name, folder), log)
    if any("is busy, it is being blocked" in line for line in errors):  # another DVC started after wait_for_dvc
        return run_stage(name, timeout_s, force, folder, log)
    restore_outputs(name, partial(log, level=logging.WARNING), folder)
    if expired.is_set():
        limit = f"flow.timeout_minutes.{name.partition('@')[0]} ({timeout_s / 60:g} min)"
        raise StageFailed(
            f"{name} was stopped after {limit}; training goes on from its last checkpoint", retriable=False
        )
    raise _failure(name, note, status, errors)


def _outcome(name: str, note: Path, changed: bool, log: Log) -> Outcome:
    if note.exists():
        return "ran"
    if changed:
        log(f"{name}: an earlier run had the same inputs; outputs restored")
        return "restored"
    return unchanged(name, log)


def unchanged(name: str, log: Log) -> Outcome:
    """Log that a stage need not run, and return this outcome."""
    log(f"{name}: no dependency changed; not run")
    return "unchanged"


def unchanged_stages(names: list[str]) -> set[str]:
    """Return the leading stages of ``names`` that are unchanged, by a single ``dvc status`` for all of them."""
    command = [sys.executable, "-m", "dvc", "--wait-for-lock", "status", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        changed = json.loads(done.stdout) if done.returncode == 0 else None
    except ValueError:
        changed = None
    if changed is None:  # run each stage: its own message then names the problem
        return set()
    return set(takewhile(lambda name: name not in changed, names))


def _state(name: str, folder: Path) -> tuple[str, list[tuple[str, int, int]]]:
    """The stage's entry in ``dvc.lock``, and sizes and times of its outputs. They do not change if DVC does nothing."""
    lock = folder / "dvc.lock"
    entry = re.search(rf"^  {re.escape(name)}:\n(    .*\n)*", lock.read_text("utf-8"), re.M) if lock.exists() else None
    files = [file for file in sorted((folder / OUTPUTS / name.replace("@", "/")).rglob("*")) if file.is_file()]
    stats = [(str(file), file.stat().st_size, file.stat().st_mtime_ns) for file in files]
    return entry[0] if entry else "", stats


def _failure(name: str, note: Path, status: int, errors: list[str]) -> StageFailed:
    """The exception with the stage's message, or an explanation of DVC's last error."""
    try:
        found = json.loads(note.read_text(encoding="utf-8"))
        return StageFailed(f"{name} failed: {found['message']}", found["again"])
    except (OSError, ValueError, KeyError):  # no message, or the stage succeeded: then DVC itself failed
        pass
    last = errors[-1].removeprefix("ERROR: ") if errors else f"dvc ended with status {status} and no message"
    last = last.removeprefix(f"failed to reproduce '{name}': ")
    if re.search(r"exited with (-9|137)$", last):
        last = (
            "its process was killed, most often because the machine's memory ran out. Lower its batch_size, or give "
            "it more memory; training goes on from its last checkpoint."
        )
    elif "No space left" in last or "No possible cache link types" in last:
        last += ". Most often the disk is full: free some space (.dvc/cache and outputs/ need it), then run again."
    return StageFailed(f"{name} failed: {last}", False)
