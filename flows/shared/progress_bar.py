"""The steps of a stage as a progress bar on Prefect's page (an artifact of the task run)."""

import logging
import re
import time
from contextlib import suppress
from uuid import UUID

import httpx
from prefect.artifacts import create_progress_artifact, update_progress_artifact
from prefect.exceptions import PrefectException

from stillhouse.pipeline.runner import Log
from stillhouse.progress import STEP

EVERY_S = 5.0  # least seconds between two updates; each is a request to the server


class _Bar:
    def __init__(self, stage: str) -> None:
        self._key = "progress-" + re.sub("[^a-z0-9]+", "-", stage.lower())
        self._artifact: UUID | None = None
        self._next = 0.0  # of time.monotonic()

    def show(self, unit: str, number: int, total: int) -> None:
        """Show that ``number`` of ``total`` steps are done."""
        now = time.monotonic()
        if now < self._next and number < total:
            return
        self._next = now + EVERY_S
        percent, text = 100 * number / max(1, total), f"{unit} {number} of {total}"
        # A bar that is not up to date is no reason to stop a training.
        with suppress(httpx.HTTPError, PrefectException):
            if self._artifact:
                update_progress_artifact(self._artifact, percent, text)
            else:
                created = create_progress_artifact(percent, self._key, text)
                assert isinstance(created, UUID)  # this function is not called from a coroutine
                self._artifact = created


def with_progress(stage: str, log: Log) -> Log:
    """Return ``log``, which also shows the steps that it receives as a progress bar of the task run.

    Args:
        stage: name of the stage.
        log: the log of the task run.
    """
    bar = _Bar(stage)

    def write(line: str, level: int = logging.INFO) -> None:
        log(line, level)
        if found := STEP.match(line):
            bar.show(found["unit"], int(found["number"]), int(found["total"]))

    return write
