"""How a flow's command ends: by itself, with a user's mistake, or stopped by a signal within ten seconds."""

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

DEADLINE_S = 8.5  # after which the process leaves at once; what it started is ended by its guards
AGAIN_S = 1.0  # a terminal that is closed sends its signal more than once
_received: list[tuple[int, float]] = []
_taken = False
Arguments = ParamSpec("Arguments")


class Stopped(KeyboardInterrupt):
    """A signal asked this process to end."""

    def __str__(self) -> str:
        return f"stopped by {signal.Signals(_received[0][0]).name}"


def command(body: Callable[Arguments, None]) -> Callable[Arguments, None]:
    """Decorate the function behind a command.

    A user's mistake ends the process with its message and status 1. SIGINT, SIGTERM and SIGHUP end it with one line and
    status 128 plus the signal's number.
    """

    @functools.wraps(body)
    def main(*args: Arguments.args, **kwargs: Arguments.kwargs) -> None:
        global _taken
        _taken = True
        take_signals()
        try:
            body(*args, **kwargs)
        except StillhouseError as error:
            sys.exit(f"\n{error}")
        except OSError as error:
            if (message := permission_problem(error)) is None:
                raise
            sys.exit(f"\n{message} A run writes into the project's folder.")
        finally:  # also where a library swallowed what the signal raised
            if _received:
                _leave()

    return main


def take_signals() -> None:
    """Let SIGINT, SIGTERM and SIGHUP stop this process in order, where :func:`command` runs it.

    A flow calls it again, since Prefect has put a handler of its own in place by then.
    """
    if _taken and threading.current_thread() is threading.main_thread():
        for number in STOPS:
            signal.signal(number, _stop)


def _stop(number: int, frame: Any) -> None:
    now = time.monotonic()
    if _received:
        if now - _received[0][1] > AGAIN_S:
            _leave()
        return
    _received.append((number, now))
    end_all()
    logging.disable(logging.CRITICAL)  # each library would say the same in its own way, some with tracebacks
    timer = threading.Timer(DEADLINE_S, _leave)
    timer.daemon = True
    timer.start()
    raise Stopped


def _leave() -> None:
    """Say so in one line and end at once, whatever threads are still at."""
    number = _received[0][0]
    print(
        f"\nStopped by {signal.Signals(number).name}. Nothing is lost: the next run goes on from here.",
        file=sys.stderr,
        flush=True,
    )
    os._exit(128 + number)
