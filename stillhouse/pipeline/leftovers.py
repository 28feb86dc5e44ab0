"""End processes of a run whose guard was killed.

After that only the kernel (on Linux, for the command itself), the process's own watcher thread or the next run ends
them. Every process that a guard starts, and each of its children, has the guard's number in its environment.
"""

import os
import select
import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil

from stillhouse.pipeline.guard import GUARD

GRACE_S = 5.0  # time for a process to close its files
POLL_S = 1.0


def end_with_guard() -> None:
    """Watch the guard of this process, if it has one, and end this process when the guard is gone."""
    if pid := os.environ.get(GUARD):
        threading.Thread(target=_watch, args=(int(pid),), daemon=True).start()


def _watch(guard: int) -> None:
    try:
        select.select([os.pidfd_open(guard)], [], [])
    except ProcessLookupError:
        pass
    except (AttributeError, OSError):  # not Linux, an old kernel, or a container that forbids pidfd
        while psutil.pid_exists(guard):
            time.sleep(POLL_S)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE_S)
    os.kill(os.getpid(), signal.SIGKILL)


def find_leftovers(project: Path = Path()) -> list[psutil.Process]:
    """Return this user's processes in ``project``, or in its copies, whose guard is gone."""
    root, found = project.resolve(), []
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError, ValueError):
            guard = process.environ().get(GUARD)
            if guard and Path(process.cwd()).is_relative_to(root) and not _guards(int(guard), process):
                found.append(process)
    return found


def _guards(guard: int, process: psutil.Process) -> bool:
    """Whether ``guard`` is alive. A process that started later only has the same number."""
    with suppress(psutil.NoSuchProcess):
        return psutil.Process(guard).create_time() <= process.create_time()
    return False


def end_leftovers(log: Callable[[str], None], project: Path = Path()) -> None:
    """End what :func:`find_leftovers` finds."""
    found = find_leftovers(project)
    for process in found:
        with suppress(psutil.Error):
            log(f"ending process {process.pid} ({process.name()}), left by a run that was killed")
            process.terminate()
    _, living = psutil.wait_procs(found, GRACE_S)
    for process in living:
        with suppress(psutil.Error):
            process.kill()
