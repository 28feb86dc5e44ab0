"""Telling somebody what nobody watches: a run that failed or died, and a student that the gate refused."""

import json
import logging
import os
import shlex
import subprocess
import urllib.request
from typing import Any

from stillhouse.errors import StillhouseError
from stillhouse.params import load_params
from stillhouse.secrets import masked
from tasks.shared.ending import ending

PATIENCE_S = 20.0
logger = logging.getLogger(__name__)


def notify(target: str | None, message: str) -> None:
    """Send ``message``: a URL gets it as JSON (``{"text": ...}``), a command as its last word.

    ``target`` may name an environment variable that holds either. What cannot be sent is logged, and fails nothing.
    """
    if target is None:
        return
    told, target, message = target, os.path.expandvars(target), masked(message)
    try:
        if target.startswith(("http://", "https://")):
            body = json.dumps({"text": message}).encode()
            request = urllib.request.Request(target, body, {"Content-Type": "application/json"})
            with urllib.request.urlopen(request, timeout=PATIENCE_S):
                return
        command = [*shlex.split(target), message]
        subprocess.run(command, check=True, timeout=PATIENCE_S, stdin=subprocess.DEVNULL, capture_output=True)
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        logger.warning("%s could not be told: %s", masked(told), masked(str(error))[:200])


def tell_failure(flow: Any, flow_run: Any, state: Any) -> None:
    """A hook of Prefect's for a flow that failed or crashed; one that was stopped by hand is no news."""
    if ending.is_set():
        return
    try:
        target = load_params().flow.notify
    except StillhouseError:  # params.yaml is what it failed on
        return
    notify(target, f"{flow_run.name} {state.name.lower()}: {str(state.message)[:1000]}")
