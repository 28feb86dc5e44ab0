"""Processes of a run whose guard was killed: nothing ends them but the kernel, where it can, and the next run.

Every process that a guard starts, and each of their children, has the guard's number in its environment.
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

GRACE_S = 5.0  # for a process to put its files in order
POLL_S = 1.0


def end_with_guard() -> None:
    """Let this process end soon after the guard that it runs under, if any, was killed."""
    if pid := os.environ.get(GUARD):
        threading.Thread(target=_watch, args=(int(pid),), daemon=True).start()


def _watch(guard: int) -> None:
    try:
        select.select([os.pidfd_open(guard)], [], [])
    except ProcessLookupError:
        pass
    except (AttributeError, OSError):  # not Linux, an old kernel, or a container that forbids it
        while psutil.pid_exists(guard):
            time.sleep(POLL_S)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE_S)
    os.kill(os.getpid(), signal.SIGKILL)


def left_over(project: Path = Path()) -> list[psutil.Process]:
    """This user's processes in ``project``, or in its copies, that run under a guard that is gone."""
    root, found = project.resolve(), []
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError, ValueError):
            guard = process.environ().get(GUARD)
            if guard and Path(process.cwd()).is_relative_to(root) and not _guards(int(guard), process):
                found.append(process)
    return found


def _guards(guard: int, process: psutil.Process) -> bool:
    """Whether ``guard`` is alive, and no later process of the same number."""
    with suppress(psutil.NoSuchProcess):
        return psutil.Process(guard).create_time() <= process.create_time()
    return False


def end_left_over(say: Callable[[str], None], project: Path = Path()) -> None:
    """End what :func:`left_over` finds."""
    found = left_over(project)
    for process in found:
        with suppress(psutil.Error):
            say(f"ending process {process.pid} ({process.name()}), left by a run that was killed")
            process.terminate()
    _, living = psutil.wait_procs(found, GRACE_S)
    for process in living:
        with suppress(psutil.Error):
            process.kill()
