"""Progress of long work in a log: the first step, the last step, and a line every 45 seconds between them."""

import logging
import os
import re
import time

VARIABLE = "STILLHOUSE_PROGRESS_S"  # environment variable with other seconds between two lines; 0: a line for each step
SECONDS = 45.0
STEP = re.compile(r"^(?P<unit>[a-z ]+) (?P<number>\d+) of (?P<total>\d+): (?P<measured>.*)")  # a line of `Progress`


class Progress:
    """Logs steps to ``logger``, so that a hundred short epochs fill no log and a long one is not silent."""

    def __init__(self, logger: logging.Logger | logging.LoggerAdapter[logging.Logger]) -> None:
        self._logger = logger
        self._every = float(os.environ.get(VARIABLE) or SECONDS)
        self._next = 0.0  # of time.monotonic()

    def step(self, unit: str, number: int, total: int, text: str) -> None:
        """Log ``unit number of total: text``, if it is time for a line.

        Args:
            unit: of the steps, such as ``epoch``.
            number: of this step, from 1.
            total: number of steps.
            text: what was measured.
        """
        now = time.monotonic()
        if now >= self._next or number == total:
            self._next = now + self._every
            self._logger.info("%s %d of %d: %s", unit, number, total, text)
