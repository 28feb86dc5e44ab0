"""A temporary Prefect server in the project, for flows without a configured server. It ends with the block."""

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from prefect.events.worker import EventsWorker
from prefect.logging.handlers import APILogHandler
from prefect.settings import PREFECT_API_URL, PREFECT_HOME, get_current_settings, temporary_settings

from flows.shared.http import RequestFailed, send_request
from stillhouse.errors import Unavailable
from stillhouse.pipeline.children import end
from stillhouse.pipeline.guarded import guarded

ATTEMPTS = 3
START_S = 120.0  # time for the server to start, for each attempt
DRAIN_S = 3.0  # time to send the last events
GRACE_S = 1.5  # time for the server to close its database


@contextmanager
def prefect_server() -> Iterator[None]:
    """Use the server that ``PREFECT_API_URL`` names, or run a temporary one during the block.

    The temporary server runs in its own process session, so a signal to the flow's process group does not reach it. The
    guard process stops it when the block or the flow's process ends.

    Raises:
        Unavailable: the server did not start in ``ATTEMPTS`` attempts of up to ``START_S`` seconds each.
    """
    if PREFECT_API_URL.value():
        yield
        return
    home = Path(str(PREFECT_HOME.value()))
    home.mkdir(parents=True, exist_ok=True)
    with (home / "server.log").open("a", encoding="utf-8") as log:
        # Another process may take the port before the server binds it. The loop retries after every failure, also after
        # a timeout.
        for _ in range(ATTEMPTS):
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", 0))
                port = probe.getsockname()[1]
            command = "-m uvicorn --factory prefect.server.api.server:create_app --host 127.0.0.1 --log-level error"
            environment = {
                **get_current_settings().to_environment_variables(exclude_unset=True),
                "PREFECT_UI_ENABLED": "0",
                "PREFECT__SERVER_EPHEMERAL": "1",  # only the services that one flow needs, so no scheduler
                "PREFECT__SERVER_FINAL": "1",  # frees memory: the process creates no second server
            }
            arguments = [sys.executable, *command.split(), "--port", str(port)]
            server = guarded(arguments, GRACE_S, log, Path(), **environment)
            try:
                url = f"http://127.0.0.1:{port}/api"
                if not _wait_until_ready(url, server):
                    continue
                with temporary_settings({PREFECT_API_URL: url}):
                    try:
                        yield
                    finally:
                        _drain()
                return
            finally:
                end(server)
    raise Unavailable(f"Prefect's temporary server did not start; {home / 'server.log'} has the reason.")


def _wait_until_ready(url: str, server: "subprocess.Popen[str]") -> bool:
    """Return True once the server answers; False if it ended or after ``START_S`` seconds."""
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline and server.poll() is None:
        try:
            send_request(f"{url}/health", 5.0)
            return True
        except RequestFailed:
            time.sleep(0.1)
    return False


def _drain() -> None:
    """Send the remaining log records and events before the server ends."""
    APILogHandler().flush()
    EventsWorker.drain_all(timeout=DRAIN_S)
