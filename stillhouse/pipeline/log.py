"""Logging of child processes: plain text in a terminal; each line carries its level if a flow reads the output.

The level is a prefix in systemd's format: ``<4>`` before a line makes it a warning (sd-daemon(3)).
"""

import contextlib
import logging
import os
import re
import sys

from tqdm import tqdm

LEVELS = "STILLHOUSE_LEVELS"  # environment variable set for the children of a flow
NUMBERS = {logging.DEBUG: 7, logging.INFO: 6, logging.WARNING: 4, logging.ERROR: 3, logging.CRITICAL: 2}
_PREFIX = re.compile(r"<([2-7])>")


class _Levelled(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        prefix = f"<{NUMBERS.get(record.levelno, 6)}>"
        return "\n".join(prefix + line for line in super().format(record).splitlines())


class _BesideBars(logging.Handler):
    """Write log records above tqdm's progress bars."""

    def emit(self, record: logging.LogRecord) -> None:
        with contextlib.suppress(OSError):  # the reader has closed the pipe; the work must not fail because of it
            tqdm.write(self.format(record), file=sys.stderr)
            sys.stderr.flush()


def configure() -> None:
    """Send log records to standard error: this project's from INFO on, warnings of other libraries."""
    handler = _BesideBars()
    handler.setFormatter(_Levelled() if os.environ.get(LEVELS) else logging.Formatter())
    logging.getLogger().addHandler(handler)
    for name in ("stillhouse", "tasks", "__main__"):
        logging.getLogger(name).setLevel(logging.INFO)


def level_of(line: str) -> tuple[int, str]:
    """Split an output line of a child into level and text. A line without a level is INFO."""
    if found := _PREFIX.match(line):
        number = int(found[1])
        return next(level for level, own in NUMBERS.items() if own == number or number == 5), line[found.end() :]
    return logging.INFO, line
