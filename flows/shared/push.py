"""Run ``dvc push``: upload the project's outputs to DVC's remote, so that they survive the loss of this machine.

The caller decides when. The pipeline flow pushes only if its new version became the champion.
"""

import logging
import sys

from flows.shared.notify import notify
from flows.shared.stage_task import logger
from stillhouse.pipeline.children import child_process, lines_of

TIMEOUT_S = 3600.0


def push(target: str | None) -> None:
    """Run ``dvc push``. A failure or timeout does not fail the run. It is logged and sent to ``target``.

    Args:
        target: ``flow.notify``: a webhook's URL or a command, as for :func:`flows.shared.notify.notify`.
    """
    log = logger()
    last = ""  # DVC's last output line, for the message
    with child_process([sys.executable, "-m", "dvc", "push"], TIMEOUT_S) as (child, expired):
        for _, line in lines_of(child):
            last = line
        status = child.wait()
    if not status:
        log(f"pushed to DVC's remote: {last}")
        return
    reason = f"was stopped after {TIMEOUT_S / 60:g} min" if expired.is_set() else f"ended with status {status}"
    message = f"flow.push: dvc push {reason}: {last}"
    log(message, logging.WARNING)
    notify(target, message)
