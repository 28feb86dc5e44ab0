"""Push the outputs of a champion to DVC's remote, so that they survive the loss of this machine."""

import logging
import sys

from flows.shared.notify import notify
from flows.shared.stage_task import logger
from stillhouse.pipeline.children import child_process, lines_of

TIMEOUT_S = 3600.0


def push(target: str | None) -> None:
    """Run ``dvc push``. A failure does not fail the run; it is logged and sent to ``target`` (``flow.notify``)."""
    log, last = logger(), ""
    with child_process([sys.executable, "-m", "dvc", "push"], TIMEOUT_S) as (child, _):
        for _, line in lines_of(child):
            last = line
        status = child.wait()
    if status:
        message = f"flow.push: dvc push ended with status {status}: {last}"
        log(message, logging.WARNING)
        notify(target, message)
    else:
        log(f"pushed to DVC's remote: {last}")
