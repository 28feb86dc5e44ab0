"""End a flow's command: normally, with a user's mistake, or within ten seconds of a signal."""

import functools
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from typing import Any, ParamSpec

from stillhouse.errors import StillhouseError, permission_problem
from stillhouse.pipeline.children import STOPS, end_all

DEADLINE_S = 8.5  # after this time the process exits at once; guards end its children
REPEAT_S = 1.0  # a closing terminal sends its signal several times within this time
_received: list[tuple[int, float]] = []  # signals and their times
_is_command = False  # whether :func:`command` runs in this process
Arguments = ParamSpec("Arguments")


class Stopped(KeyboardInterrupt):
    """A signal stopped this process."""

    def __str__(self) -> str:
        return f"stopped by {signal.Signals(_received[0][0]).name}"


def command(body: Callable[Arguments, None]) -> Callable[Arguments, None]:
    """Decorate the function behind a command.

    A user's mistake ends the process with its message and status 1. SIGINT, SIGTERM and SIGHUP end it with one line and
    status 128 plus the signal's number.
    """

    @functools.wraps(body)
    def main(*args: Arguments.args, **kwargs: Arguments.kwargs) -> None:
        global _is_command
        _is_command = True
        handle_signals()
        try:
            body(*args, **kwargs)
        except StillhouseError as error:
            sys.exit(f"\n{error}")
        except OSError as error:
            if (message := permission_problem(error)) is None:
                raise
            sys.exit(f"\n{message} A run writes into the project's folder.")
        finally:  # also if a library suppressed the exception of the signal
            if _received:
                _exit_now()

    return main


def handle_signals() -> None:
    """Install the handler of SIGINT, SIGTERM and SIGHUP in a process that :func:`command` runs.

    A flow calls it again, since Prefect has installed its own handler by then.
    """
    if _is_command and threading.current_thread() is threading.main_thread():
        for number in STOPS:
            signal.signal(number, _stop)
        sys.unraisablehook = _report


def _report(unraisable: Any) -> None:
    """Report an exception that its caller could not raise, such as C code that calls Python; but not a stop.

    A stop that is lost there ends the run nevertheless: its children end, and no new one can start.
    """
    if not issubclass(unraisable.exc_type, Stopped):
        sys.__unraisablehook__(unraisable)


def _stop(number: int, frame: Any) -> None:
    now = time.monotonic()
    if _received:
        if now - _received[0][1] > REPEAT_S:
            _exit_now()
        return
    _received.append((number, now))
    end_all()
    logging.disable(logging.CRITICAL)  # each library would log the stop, some with tracebacks
    timer = threading.Timer(DEADLINE_S, _exit_now)
    timer.daemon = True
    timer.start()
    raise Stopped


def _exit_now() -> None:
    """Print one line and exit at once, without waiting for threads."""
    number = _received[0][0]
    print(
        f"\nStopped by {signal.Signals(number).name}. Nothing is lost: the next run goes on from here.",
        file=sys.stderr,
        flush=True,
    )
    os._exit(128 + number)
