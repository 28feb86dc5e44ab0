"""Run a command in a process group of its own, and end all of it once whoever asked for it is gone.

``python guard.py <patience> <command ...>`` runs until the command ends, or its own standard input does: the other
end is held by the one who asked, so the operating system closes it however that process dies, SIGKILL included.
Then the group gets SIGINT (DVC leaves its locks in order on that, and a stage closes its run), and SIGKILL
``patience`` seconds later. Nothing of the group outlives the guard. Imports nothing but the standard library's
smallest, so that it is there in a hundredth of a second.
"""

import os
import signal
import subprocess
import sys
import threading
import time


def main() -> int:
    """The command's status, negative for a signal as ``subprocess`` has it."""
    patience, command = float(sys.argv[1]), sys.argv[2:]
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: None)  # not SIG_IGN, which the command would inherit
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, process_group=0)
    threading.Thread(target=_watch, args=(child, patience), daemon=True).start()
    status = child.wait()
    end(child.pid, patience)  # what it left behind
    return status if status >= 0 else 128 - status


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
