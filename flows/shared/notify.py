"""Telling somebody what nobody watches: a run that failed or died, and a student that the gate refused."""

import logging
import os
import shlex
import subprocess
from typing import Any

from flows.shared.http import NoAnswer, ask
from stillhouse.errors import StillhouseError
from stillhouse.params import load_params
from stillhouse.pipeline.ending import ending
from stillhouse.secrets import masked, masked_target

PATIENCE_S = 20.0
logger = logging.getLogger(__name__)


def notify(target: str | None, message: str) -> None:
    """Send ``message``: a URL gets it as JSON (``{"text": ...}``), a command as its last word.

    ``target`` may name an environment variable that holds either. What cannot be sent is logged, and fails nothing.
    """
    if target is None:
        return
    shown, target, message = masked_target(target), os.path.expandvars(target), masked(message)
    try:
        if target.lower().startswith(("http://", "https://")):
            ask(target, PATIENCE_S, {"text": message})
            return
        command = [*shlex.split(target), message]
        subprocess.run(command, check=True, timeout=PATIENCE_S, stdin=subprocess.DEVNULL, capture_output=True)
    except NoAnswer as error:
        logger.warning("the message to %s was not sent: %s", shown, masked(str(error))[:200])
    except subprocess.CalledProcessError as error:  # its own text repeats the command
        logger.warning("the message to %s was not sent: the command ended with status %d", shown, error.returncode)
    except subprocess.TimeoutExpired:
        logger.warning("the message to %s was not sent: the command took over %d s", shown, PATIENCE_S)
    except (OSError, ValueError) as error:
        logger.warning("the message to %s was not sent: %s", shown, type(error).__name__)


def tell_failure(flow: Any, flow_run: Any, state: Any) -> None:
    """A hook of Prefect's for a flow that failed or crashed; one that was stopped by hand is no news."""
    if ending.is_set():
        return
    try:
        target = load_params().flow.notify
    except StillhouseError:  # params.yaml is what it failed on
        return
    notify(target, f"{flow_run.name} {state.name.lower()}: {str(state.message)[:1000]}")
