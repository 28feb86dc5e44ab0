"""Run a command in a process group of its own, and end all of it once whoever asked for it is gone.

``python guard.py <patience> <command ...>`` runs until the command ends, or its own standard input does: the other
end is held by the one who asked, so the operating system closes it however that process dies, SIGKILL included.
Then the group gets SIGINT (DVC leaves its locks in order on that, and a stage closes its run), and SIGKILL
``patience`` seconds later. Nothing of the group outlives the guard. Where the guard itself is killed, the kernel kills
the command (Linux), and :mod:`stillhouse.pipeline.leftovers` ends what the command started. This file imports only
small modules of the standard library, so that it starts in a hundredth of a second.
"""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable

GUARD = "STILLHOUSE_GUARD"  # the guard's process number, in the environment of all that it started
PR_SET_PDEATHSIG = 1  # <sys/prctl.h>


def main() -> int:
    """The command's status, negative for a signal as ``subprocess`` has it."""
    patience, command = float(sys.argv[1]), sys.argv[2:]
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: None)  # not SIG_IGN, which the command would inherit
    child = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        process_group=0,
        env={**os.environ, GUARD: str(os.getpid())},
        preexec_fn=_dying_with(os.getpid()),  # safe: there is no other thread yet
    )
    threading.Thread(target=_watch, args=(child, patience), daemon=True).start()
    status = child.wait()
    end(child.pid, patience)  # what it left behind
    return status if status >= 0 else 128 - status


def _dying_with(guard: int) -> Callable[[], None] | None:
    """What a new process runs so that the kernel kills it when the thread that started it ends (prctl(2))."""
    if not sys.platform.startswith("linux"):
        return None
    import ctypes  # 8 ms

    prctl = ctypes.CDLL(None).prctl

    def prepare() -> None:
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != guard:  # it died in between
            os._exit(1)

    return prepare


def _watch(child: subprocess.Popen[bytes], patience: float) -> None:
    while os.read(0, 1024):
        pass
    end(child.pid, patience)


def end(group: int, patience: float) -> None:
    """End every process of the group, politely first."""
    if not _send(group, signal.SIGINT):
        return
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        if not _send(group, 0):
            return
        time.sleep(0.05)
    _send(group, signal.SIGKILL)


def _send(group: int, number: int) -> bool:
    """Whether there was anybody to send it to."""
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):  # macOS says the second of a group of the dead
        return False
    return True


if __name__ == "__main__":
    sys.exit(main())
