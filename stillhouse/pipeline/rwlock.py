"""DVC's own lock, ``.dvc/tmp/rwlock``: entries of processes that are gone stop no run, those of others are kept.

DVC records a process number alone, and takes an entry as valid while there is *any* process of that number: after a
restart there often is. A number also means nothing in another container or on another host that shares the folder.
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
PLACE = Path(".stillhouse/place.json")  # where the last run of this project was
OF_A_FLOW = "--wait-for-lock repro --single-item"  # how a flow starts DVC
LOOK_S, SAY_S = 0.5, 60.0
Kind = Literal["dead", "here", "elsewhere"]


def drop_dead_entries(folder: Path = Path()) -> set[int]:
    """Remove the entries of processes that are certainly no DVC of this project any more.

    Call it while no other flow works on the project: the entries of one that ran elsewhere are then dead, too.

    Returns:
        The processes whose entries stay: each holds some of the project's files.
    """
    return {pid for pid, _ in _sorted_out(folder)}


def _sorted_out(folder: Path) -> set[tuple[int, Kind]]:
    file = folder / RWLOCK
    if not file.exists():
        return set()
    kinds: dict[int, Kind] = {}
    with contextlib.suppress(zc.lockfile.LockError, OSError), _guarded(file):  # a DVC is at it, and does its part
        written, foreign = file.stat().st_mtime, _was_elsewhere(folder)
        try:
            content = json.loads(file.read_text(encoding="utf-8"))
            entries = [*content["write"].values(), *(one for each in content["read"].values() for one in each)]
            kinds = {int(entry["pid"]): _kind(folder, entry, written, foreign) for entry in entries}
            kept = {
                "write": {path: one for path, one in content["write"].items() if kinds[one["pid"]] != "dead"},
                "read": {
                    path: left
                    for path, each in content["read"].items()
                    if (left := [one for one in each if kinds[one["pid"]] != "dead"])
                },
            }
        except (ValueError, AttributeError, TypeError, KeyError):  # cut short by a kill; DVC would never heal it
            content, kinds, kept = None, {}, {"write": {}, "read": {}}
        if kept != content:
            file.write_text(json.dumps(kept), encoding="utf-8")
    return {(pid, kind) for pid, kind in kinds.items() if kind != "dead"}


def _guarded(file: Path) -> contextlib.closing[Any]:
    """As DVC guards each change of the file."""
    return contextlib.closing(zc.lockfile.LockFile(f"{file}.lock"))


def _kind(folder: Path, entry: dict[str, Any], written: float, foreign: bool) -> Kind:
    """Whether an entry's process is gone, works here, or may work in another container or on another host.

    ``written`` is the time of the file's last change, ``foreign`` whether the last run was elsewhere.
    """
    pid = int(entry["pid"])
    if _may_be_dvc(folder, pid, written):
        return "here"
    return "elsewhere" if foreign and OF_A_FLOW not in str(entry["cmd"]) else "dead"


def _may_be_dvc(folder: Path, pid: int, written: float) -> bool:
    """False only where it is certain that no process ``pid`` of this machine is a DVC in ``folder``."""
    try:
        process = psutil.Process(pid)
        return is_dvc(process.cmdline()) and Path(process.cwd()) == folder.resolve()
    except psutil.ZombieProcess:
        return False
    except psutil.NoSuchProcess:  # or one that the system hides from this user
        return psutil.pid_exists(pid)
    except (psutil.Error, OSError):  # another user's; where it is younger than the entry the number was given again
        with contextlib.suppress(psutil.Error, OSError):
            return psutil.Process(pid).create_time() <= written
        return True


def is_dvc(words: list[str]) -> bool:
    """Whether a command line starts DVC."""
    return any(Path(word).name == "dvc" for word in words[:4])


def _here() -> dict[str, str]:
    found = {"host": socket.gethostname()}
    with contextlib.suppress(OSError):  # not Linux
        found["boot"] = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="utf-8").strip()
    with contextlib.suppress(OSError):
        found["processes"] = str(Path("/proc/self/ns/pid").readlink())
    return found


def _was_elsewhere(folder: Path) -> bool:
    """Whether the last run was in another container, or on another host; the same host before a restart is none."""
    try:
        then = json.loads((folder / PLACE).read_text(encoding="utf-8"))
        here = _here()
        restarted = then.get("boot") != here.get("boot") and then["host"] == here["host"]
        return bool(then != here and not restarted)
    except (OSError, ValueError, KeyError, AttributeError):
        return False


def note_place(folder: Path = Path()) -> None:
    """Remove dead entries; record that runs of this project are here now, unless entries of another place are left."""
    if not any(kind == "elsewhere" for _, kind in _sorted_out(folder)):
        (folder / PLACE).parent.mkdir(exist_ok=True)
        (folder / PLACE).write_text(json.dumps(_here()), encoding="utf-8")


def wait_for_dvc(folder: Path, say: Callable[[str], None]) -> None:
    """Wait until no DVC that others started (a ``dvc pull`` beside the flow) holds files of the project."""
    said = 0.0
    while others := _others(folder):
        if not said or time.monotonic() - said >= SAY_S:
            said = time.monotonic()
            numbers = ", ".join(str(pid) for pid, _ in sorted(others))
            if any(kind == "elsewhere" for _, kind in others):
                told = f"waiting: {folder / RWLOCK} names DVC processes of another host or container ({numbers})"
                say(f"{told}. If no DVC works on this project there, remove that file.")
            else:
                say(f"waiting: DVC is at work on this project (process {numbers})")
        time.sleep(LOOK_S)


def _others(folder: Path) -> set[tuple[int, Kind]]:
    mine = {child.pid for child in psutil.Process().children(recursive=True)}
    return {(pid, kind) for pid, kind in _sorted_out(folder) if pid not in mine}


def entries_of_others(folder: Path = Path()) -> list[str]:
    """What :func:`wait_for_dvc` would wait for, for a message; nothing is changed."""
    try:
        content = json.loads((folder / RWLOCK).read_text(encoding="utf-8"))
        entries = [*content["write"].values(), *(one for each in content["read"].values() for one in each)]
        written, foreign = (folder / RWLOCK).stat().st_mtime, _was_elsewhere(folder)
        kinds = {int(one["pid"]): (_kind(folder, one, written, foreign), str(one["cmd"])) for one in entries}
    except (OSError, ValueError, AttributeError, TypeError, KeyError):
        return []
    return [f"process {pid} ({cmd}, {kind})" for pid, (kind, cmd) in sorted(kinds.items()) if kind != "dead"]
