"""Child processes that are gone when their parent is, however it goes."""

import contextlib
import multiprocessing
import multiprocessing.connection
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from stillhouse.pipeline import guard
from stillhouse.pipeline.ending import ending
from stillhouse.pipeline.lock import HOLDER
from stillhouse.pipeline.log import LEVELS, level_of
from stillhouse.secrets import masked

STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
PATIENCE_S = 4.0  # for a stage to close its run, before it is killed
_children: set[subprocess.Popen[str]] = set()


def guarded(
    command: list[str], patience_s: float, output: int | IO[str], folder: Path = Path(), **variables: str
) -> subprocess.Popen[str]:
    """Start ``command`` under a guard (``guard.py``): closing its ``stdin`` ends it with all its children."""
    return subprocess.Popen(
        # -I: the guard needs nothing of this environment's, and starts four times as fast so.
        [sys.executable, "-I", "-S", guard.__file__, str(patience_s), *command],
        stdin=subprocess.PIPE,
        stdout=output,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        env={**os.environ, **variables},
        cwd=folder,
        start_new_session=True,
    )


@contextmanager
def child_process(
    command: list[str], timeout_s: float, folder: Path = Path(), **variables: str
) -> Iterator[tuple[subprocess.Popen[str], threading.Event]]:
    """A process group that is gone when the block is left, however it is left; the event says it took too long.

    ``variables`` are added to its environment.
    """
    if ending.is_set():
        raise KeyboardInterrupt
    environment = {
        "PYTHONPATH": os.pathsep.join([str(folder.resolve()), *filter(None, [os.environ.get("PYTHONPATH")])]),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",  # dvc.yaml says `python`
        "PYTHONUNBUFFERED": "1",
        "TQDM_MININTERVAL": "20",  # each refresh becomes a log line
        "COLUMNS": "100",
        HOLDER: str(os.getpid()),
        LEVELS: "1",
        **variables,
    }
    child = guarded(command, PATIENCE_S, subprocess.PIPE, folder, **environment)
    _children.add(child)
    expired = threading.Event()

    def stop() -> None:
        expired.set()
        _let_go(child)

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
    """End a guarded child with all its own."""
    _let_go(child)
    try:
        child.wait(PATIENCE_S + 5)
    except subprocess.TimeoutExpired:
        child.kill()


def end_all() -> None:
    """Begin to end all children of this process, whichever thread waits for them; no other starts any more."""
    ending.set()
    for child in list(_children):
        _let_go(child)


def leave_with_parent() -> None:
    """In a worker process of a pool: leave when the one that made the pool is gone."""
    if parent := multiprocessing.parent_process():

        def watch(sentinel: int) -> None:
            multiprocessing.connection.wait([sentinel])
            os._exit(1)

        threading.Thread(target=watch, args=(parent.sentinel,), daemon=True).start()


def _let_go(child: subprocess.Popen[str]) -> None:
    assert child.stdin is not None
    with contextlib.suppress(OSError):
        child.stdin.close()


def lines_of(child: subprocess.Popen[str]) -> Iterator[tuple[int, str]]:
    """Lines and their levels as they come; universal newlines make each refresh of a progress bar (``\\r``) a line."""
    assert child.stdout is not None
    for line in child.stdout:
        if (line := line.rstrip()) and not ending.is_set():
            yield level_of(masked(line))
