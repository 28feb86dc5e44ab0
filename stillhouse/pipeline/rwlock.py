"""Clean DVC's own lock, ``.dvc/tmp/rwlock``: remove entries of dead processes, preserve those of living ones.

DVC records only a process number, and treats an entry as valid while *any* process has that number. After a restart
another process often has it. In another container, or on another host that shares the folder, the number means nothing.
"""

import contextlib
import json
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import psutil
import zc.lockfile

RWLOCK = Path(".dvc/tmp/rwlock")
PLACE = Path(".stillhouse/place.json")  # records the host and container of this project's last run
OF_A_FLOW = "--wait-for-lock repro --single-item"  # how a flow starts DVC
POLL_S, LOG_EVERY_S = 0.5, 60.0
Kind = Literal["dead", "here", "elsewhere"]


def remove_dead_entries(folder: Path = Path()) -> set[int]:
    """Remove the entries of processes that are certainly not a running DVC of this project.

    Call it while no other flow works on the project. Entries of a flow that ran elsewhere are then dead as well.

    Returns:
        The processes whose entries remain. Each holds some of the project's files.
    """
    return {pid for pid, _ in _remove_dead(folder)}


def _remove_dead(folder: Path) -> set[tuple[int, Kind]]:
    file = folder / RWLOCK
    if not file.exists():
        return set()
    kinds: dict[int, Kind] = {}
    with contextlib.suppress(zc.lockfile.LockError, OSError), _guarded(file):  # a DVC is changing the file
        written, foreign = file.stat().st_mtime, _last_run_was_elsewhere(folder)
        try:
            content = json.loads(file.read_text(encoding="utf-8"))
            entries = [
                *content["write"].values(),
                *(entry for readers in content["read"].values() for entry in readers),
            ]
            kinds = {int(entry["pid"]): _kind(folder, entry, written, foreign) for entry in entries}
            living = {
                "write": {path: entry for path, entry in content["write"].items() if kinds[entry["pid"]] != "dead"},
                "read": {
                    path: left
                    for path, readers in content["read"].items()
                    if (left := [entry for entry in readers if kinds[entry["pid"]] != "dead"])
                },
            }
        except (ValueError, AttributeError, TypeError, KeyError):  # truncated by a kill; DVC would never repair it
            content, kinds, living = None, {}, {"write": {}, "read": {}}
        if living != content:
            file.write_text(json.dumps(living), encoding="utf-8")
    return {(pid, kind) for pid, kind in kinds.items() if kind != "dead"}


def _guarded(file: Path) -> contextlib.closing[Any]:
    """The lock that DVC holds while it changes the file."""
    return contextlib.closing(zc.lockfile.LockFile(f"{file}.lock"))


def _kind(folder: Path, entry: dict[str, Any], written: float, foreign: bool) -> Kind:
    """Whether an entry's process is gone, works here, or may work in another container or on another host.

    Args:
        folder: the folder of the project.
        entry: an entry of DVC's lock.
        written: the time of the file's last change.
        foreign: whether the last run was elsewhere.
    """
    pid = int(entry["pid"])
    if _may_be_dvc(folder, pid, written):
        return "here"
    return "elsewhere" if foreign and OF_A_FLOW not in str(entry["cmd"]) else "dead"


def _may_be_dvc(folder: Path, pid: int, written: float) -> bool:
    """Whether process ``pid`` of this machine may be a DVC in ``folder``. False only if this is certainly not so."""
    try:
        process = psutil.Process(pid)
        return is_dvc(process.cmdline()) and Path(process.cwd()) == folder.resolve()
    except psutil.ZombieProcess:
        return False
    except psutil.NoSuchProcess:  # or the system hides the process from this user
        return psutil.pid_exists(pid)
    except (psutil.Error, OSError):  # another user's process; if it is younger than the entry, the number was reused
        with contextlib.suppress(psutil.Error, OSError):
            return psutil.Process(pid).create_time() <= written
        return True


def is_dvc(words: list[str]) -> bool:
    """Whether a command line starts DVC."""
    return any(Path(word).name == "dvc" for word in words[:4])


def _current_place() -> dict[str, str]:
    found = {"host": socket.gethostname()}
    with contextlib.suppress(OSError):  # not Linux
        found["boot"] = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="utf-8").strip()
    with contextlib.suppress(OSError):
        found["processes"] = str(Path("/proc/self/ns/pid").readlink())
    return found


def _last_run_was_elsewhere(folder: Path) -> bool:
    """Whether the last run was in another container or on another host; the same host before a restart is not."""
    try:
        last = json.loads((folder / PLACE).read_text(encoding="utf-8"))
        here = _current_place()
        restarted = last.get("boot") != here.get("boot") and last["host"] == here["host"]
        return bool(last != here and not restarted)
    except (OSError, ValueError, KeyError, AttributeError):
        return False


def record_place(folder: Path = Path()) -> None:
    """Remove dead entries. Record this host and container, unless entries of another place remain."""
    if not any(kind == "elsewhere" for _, kind in _remove_dead(folder)):
        (folder / PLACE).parent.mkdir(exist_ok=True)
        (folder / PLACE).write_text(json.dumps(_current_place()), encoding="utf-8")


def wait_for_dvc(folder: Path, log: Callable[[str], None]) -> None:
    """Wait until no DVC from outside this flow, such as a ``dvc pull`` in a terminal, holds files of the project."""
    logged = 0.0
    while others := _others(folder):
        if not logged or time.monotonic() - logged >= LOG_EVERY_S:
            logged = time.monotonic()
            numbers = ", ".join(str(pid) for pid, _ in sorted(others))
            if any(kind == "elsewhere" for _, kind in others):
                message = f"waiting: {folder / RWLOCK} names DVC processes of another host or container ({numbers})"
                log(f"{message}. If no DVC works on this project there, remove that file.")
            else:
                log(f"waiting: DVC is at work on this project (process {numbers})")
        time.sleep(POLL_S)


def _others(folder: Path) -> set[tuple[int, Kind]]:
    mine = {child.pid for child in psutil.Process().children(recursive=True)}
    return {(pid, kind) for pid, kind in _remove_dead(folder) if pid not in mine}


def living_entries(folder: Path = Path()) -> list[str]:
    """Describe the entries that :func:`wait_for_dvc` would wait for. Changes nothing."""
    try:
        content = json.loads((folder / RWLOCK).read_text(encoding="utf-8"))
        entries = [*content["write"].values(), *(entry for readers in content["read"].values() for entry in readers)]
        written, foreign = (folder / RWLOCK).stat().st_mtime, _last_run_was_elsewhere(folder)
        kinds = {int(entry["pid"]): (_kind(folder, entry, written, foreign), str(entry["cmd"])) for entry in entries}
    except (OSError, ValueError, AttributeError, TypeError, KeyError):
        return []
    return [f"process {pid} ({cmd}, {kind})" for pid, (kind, cmd) in sorted(kinds.items()) if kind != "dead"]
