"""Send messages about unattended runs: a run that failed or died, or a student that the gate refused."""

import logging
import os
import shlex
import subprocess
from typing import Any

from flows.shared.http import RequestFailed, send_request
from stillhouse.errors import StillhouseError
from stillhouse.params import load_params
from stillhouse.pipeline.ending import ending
from stillhouse.secrets import masked, masked_target

TIMEOUT_S = 20.0
logger = logging.getLogger(__name__)


def notify(target: str | None, message: str) -> None:
    """Send ``message`` to a URL or to a command. A failure is logged and does not fail the run.

    Args:
        target: a URL, which receives JSON (``{"text": ...}``), or a command, which receives the message as its last
            argument. It may contain environment variables.
        message: the text; secrets in it are masked.
    """
    if target is None:
        return
    shown, target, message = masked_target(target), os.path.expandvars(target), masked(message)
    try:
        if target.lower().startswith(("http://", "https://")):
            send_request(target, TIMEOUT_S, {"text": message})
            return
        command = [*shlex.split(target), message]
        subprocess.run(command, check=True, timeout=TIMEOUT_S, stdin=subprocess.DEVNULL, capture_output=True)
    except RequestFailed as error:
        logger.warning("the message to %s was not sent: %s", shown, masked(str(error))[:200])
    except subprocess.CalledProcessError as error:  # str(error) would contain the command
        logger.warning("the message to %s was not sent: the command ended with status %d", shown, error.returncode)
    except subprocess.TimeoutExpired:
        logger.warning("the message to %s was not sent: the command took over %d s", shown, TIMEOUT_S)
    except (OSError, ValueError) as error:
        logger.warning("the message to %s was not sent: %s", shown, type(error).__name__)


def notify_failure(flow: Any, flow_run: Any, state: Any) -> None:
    """Prefect's hook for a flow that failed or crashed. A run that the user stopped sends nothing."""
    if ending.is_set():
        return
    try:
        target = load_params().flow.notify
    except StillhouseError:  # the flow failed because of params.yaml
        return
    notify(target, f"{flow_run.name} {state.name.lower()}: {str(state.message)[:1000]}")
