"""Start child processes that end when their parent ends, even if the parent is killed."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from stillhouse.pipeline.ending import ending
from stillhouse.pipeline.guarded import guarded
from stillhouse.pipeline.lock import HOLDER
from stillhouse.pipeline.log import LEVELS, level_of
from stillhouse.secrets import masked

STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
GRACE_S = 4.0  # time for a stage to close its MLflow run before it is killed
_children: set[subprocess.Popen[str]] = set()


@contextmanager
def child_process(
    command: list[str], timeout_s: float, folder: Path = Path(), **variables: str
) -> Iterator[tuple[subprocess.Popen[str], threading.Event]]:
    """Run a command in its own process group, which is ended when the block ends.

    Args:
        command: the command and its arguments.
        timeout_s: seconds after which the process group is stopped.
        folder: the working directory; also the first entry of ``PYTHONPATH``.
        variables: added to the environment of the child.

    Yields:
        The process, and an event that is set after a timeout.

    Raises:
        KeyboardInterrupt: this process is being stopped.
    """
    if ending.is_set():
        raise KeyboardInterrupt
    environment = {
        "PYTHONPATH": os.pathsep.join([str(folder.resolve()), *filter(None, [os.environ.get("PYTHONPATH")])]),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",  # dvc.yaml calls `python`
        "PYTHONUNBUFFERED": "1",
        "TQDM_MININTERVAL": "20",  # each refresh becomes a log line
        "HF_DATASETS_DISABLE_PROGRESS_BARS": "1",
        "COLUMNS": "100",
        HOLDER: str(os.getpid()),
        LEVELS: "1",
        **variables,
    }
    child = guarded(command, GRACE_S, subprocess.PIPE, folder, **environment)
    _children.add(child)
    expired = threading.Event()

    def stop() -> None:
        expired.set()
        _close_stdin(child)

    timer = threading.Timer(min(timeout_s, threading.TIMEOUT_MAX), stop)
    timer.daemon = True
    timer.start()
    try:
        yield child, expired
    finally:
        timer.cancel()
        _children.discard(child)
        end(child)


def end(child: subprocess.Popen[str]) -> None:
    """End a guarded child and all processes that it started."""
    _close_stdin(child)
    try:
        child.wait(GRACE_S + 5)
    except subprocess.TimeoutExpired:
        child.kill()


def end_all() -> None:
    """Ask all children of this process, in all threads, to end. No new child can start afterwards."""
    ending.set()
    for child in list(_children):
        _close_stdin(child)


def _close_stdin(child: subprocess.Popen[str]) -> None:
    assert child.stdin is not None
    with contextlib.suppress(OSError):
        child.stdin.close()


def lines_of(child: subprocess.Popen[str]) -> Iterator[tuple[int, str]]:
    """Yield the child's output lines with their levels. Each refresh of a progress bar (``\\r``) is one line."""
    assert child.stdout is not None
    for line in child.stdout:
        if (line := line.rstrip()) and not ending.is_set():
            yield level_of(masked(line))
