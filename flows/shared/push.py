"""A champion's outputs in DVC's remote, so that they outlive this machine."""

import logging
import sys

from flows.shared.notify import notify
from flows.shared.stage_task import logger
from stillhouse.pipeline.children import child_process, lines_of

PATIENCE_S = 3600.0


def push(messenger: str | None) -> None:
    """``dvc push``. Where it fails the run does not; ``messenger`` (``flow.notify``) is told."""
    say, last = logger(), ""
    with child_process([sys.executable, "-m", "dvc", "push"], PATIENCE_S) as (child, _):
        for _, line in lines_of(child):
            last = line
        status = child.wait()
    if status:
        told = f"flow.push: dvc push ended with status {status}: {last}"
        say(told, logging.WARNING)
        notify(messenger, told)
    else:
        say(f"pushed to DVC's remote: {last}")
