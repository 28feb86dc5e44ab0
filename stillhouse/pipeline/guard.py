"""Run a command in its own process group, and end the whole group when the calling process is gone.

``python guard.py <grace_s> <command ...>`` runs until the command ends or the guard's standard input is closed. The
caller holds the other end of that pipe. The operating system closes it when the caller dies, even by SIGKILL. The guard
then sends SIGINT to the group: DVC releases its locks, and a stage closes its MLflow run. After ``grace_s`` seconds it
sends SIGKILL. No process of the group outlives the guard. If the guard itself is killed, the kernel kills the command
(Linux), and :mod:`stillhouse.pipeline.leftovers` ends the processes that the command started. This file imports only
small modules of the standard library, so that it starts in 10 ms.
"""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable

GUARD = "STILLHOUSE_GUARD"  # environment variable with the guard's process number, set for all processes that it starts
PR_SET_PDEATHSIG = 1  # <sys/prctl.h>


def main() -> int:
    """Run the command. Returns its status, or 128 plus the number of the signal that ended it."""
    grace_s, command = float(sys.argv[1]), sys.argv[2:]
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: None)  # not SIG_IGN: the command would inherit it
    child = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        process_group=0,
        env={**os.environ, GUARD: str(os.getpid())},
        preexec_fn=_dying_with(os.getpid()),  # safe: this process has no other thread yet
    )
    threading.Thread(target=_watch, args=(child, grace_s), daemon=True).start()
    status = child.wait()
    end(child.pid, grace_s)  # its remaining children
    return status if status >= 0 else 128 - status


def _dying_with(guard: int) -> Callable[[], None] | None:
    """A function for a new process: the kernel then kills it when the thread that started it ends (prctl(2))."""
    if not sys.platform.startswith("linux"):
        return None
    import ctypes  # here, since it takes 8 ms

    prctl = ctypes.CDLL(None).prctl

    def prepare() -> None:
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != guard:  # the guard died before prctl was called
            os._exit(1)

    return prepare


def _watch(child: subprocess.Popen[bytes], grace_s: float) -> None:
    while os.read(0, 1024):
        pass
    end(child.pid, grace_s)


def end(group: int, grace_s: float) -> None:
    """End every process of the group: SIGINT first, SIGKILL after ``grace_s`` seconds."""
    if not _send(group, signal.SIGINT):
        return
    deadline = time.monotonic() + grace_s
    while time.monotonic() < deadline:
        if not _send(group, 0):
            return
        time.sleep(0.05)
    _send(group, signal.SIGKILL)


def _send(group: int, number: int) -> bool:
    """Send a signal to the group. Returns whether a living process received it."""
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):  # macOS raises PermissionError for a group of dead processes
        return False
    return True


if __name__ == "__main__":
    sys.exit(main())
