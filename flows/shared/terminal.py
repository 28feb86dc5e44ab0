"""What a run shows on a terminal: one live line for the stage at work, and one line for each finished stage.

Without a terminal (a log file, CI, a schedule) the lines of the log are printed.
"""

import logging
import os
import re
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from prefect.logging.configuration import setup_logging
from prefect.logging.handlers import PrefectConsoleHandler
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from stillhouse.progress import STEP, VARIABLE
from stillhouse.tracking.environment import environment

IMPORTANT = re.compile(r"^(texts: |.* version \d+: )")  # lines that stay with a finished stage
STARTED, ENDED = "Running stage '", "Finished in state "


class StageLines(logging.Handler):
    """Shows the log records of the stages: the running stage as a live line, each finished one as a line that stays."""

    def __init__(self, progress: Progress) -> None:
        super().__init__()
        self._progress = progress
        self._live: dict[str, TaskID] = {}
        self._started: dict[str, float] = {}
        self._last: dict[str, str] = {}  # the last important line of each running stage

    def emit(self, record: logging.LogRecord) -> None:
        """Show one record. A warning is printed in whole, above the live line."""
        name, message = getattr(record, "task_run_name", None), record.getMessage()
        if record.levelno >= logging.WARNING:
            self._progress.console.print(f"[yellow]{escape(f'{name}: ' if name else '')}{escape(message)}[/]")
        elif name and message.startswith(STARTED):
            self._started[name] = time.monotonic()
            self._live[name] = self._progress.add_task(name, total=None, step="")
        elif name and message.startswith(ENDED):
            self._end(name, "Completed" in message)
        elif name in self._live:
            self._update(name, message)

    def _update(self, name: str, message: str) -> None:
        shown = message
        if found := STEP.match(message):
            self._progress.update(self._live[name], completed=int(found["number"]), total=int(found["total"]))
            shown = found["measured"]
        if found or IMPORTANT.match(message):
            self._last[name] = shown
        self._progress.update(self._live[name], step=escape(shown[: self._progress.console.width // 2]))

    def _end(self, name: str, completed: bool) -> None:
        if name not in self._live:
            self._progress.console.print(f"[dim]{escape(name):<14} not changed[/]")
            return
        self._progress.remove_task(self._live.pop(name))
        seconds = time.monotonic() - self._started.pop(name)
        mark = "[green]done[/]" if completed else "[red]failed[/]"
        self._progress.console.print(f"{escape(name):<14} {mark} {seconds:5.0f} s  {escape(self._last.pop(name, ''))}")


def _is_news(record: logging.LogRecord) -> bool:
    """Whether a log record tells more than the first line of the next stage does."""
    return not (hasattr(record, "task_run_name") and record.getMessage().startswith(f"{ENDED}Completed"))


@contextmanager
def live_lines() -> Iterator[None]:
    """Within the block, show the stages of a flow as live lines if the output is a terminal, and else a short log."""
    if not (sys.stdout.isatty() and sys.stderr.isatty()):
        setup_logging()  # otherwise the flow does it
        for handler in logging.getLogger().handlers:
            handler.addFilter(_is_news)
        yield
        return
    columns = (TextColumn("{task.description:<14}"), BarColumn(24), TimeElapsedColumn(), TimeRemainingColumn())
    progress = Progress(*columns, TextColumn("{task.fields[step]}"), console=Console(stderr=True))
    # The stages are child processes.
    with environment({VARIABLE: os.environ.get(VARIABLE, "1")}), progress:
        setup_logging()  # otherwise the flow does it, and brings the console handler back
        root = logging.getLogger()
        before = list(root.handlers)
        others = [handler for handler in before if not isinstance(handler, PrefectConsoleHandler)]
        root.handlers = [*others, StageLines(progress)]
        try:
            yield
        finally:
            root.handlers = before
