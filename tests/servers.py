"""Real servers on this machine's loopback, and calls to Prefect's that need no new Python process."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


class Server:
    """A process that answers at ``url``; it can be taken away and brought back."""

    def __init__(self, folder: Path, name: str, command: list[str], url: str, **variables: str) -> None:
        self.folder, self.log, self.command, self.url = folder, folder / f"{name}.log", command, url
        self.environment = {**os.environ, **variables}
        self.process: subprocess.Popen[bytes] | None = None

    def begin(self) -> "Server":
        """Start it, and do not wait."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command, cwd=self.folder, env=self.environment, stdout=log, stderr=log, start_new_session=True
            )
        return self

    def wait(self) -> "Server":
        deadline = time.time() + 180
        while True:
            try:
                urllib.request.urlopen(self.url, timeout=5)
                return self
            except OSError:
                assert time.time() < deadline, self.log.read_text()[-3000:]
                assert self.process is None or self.process.poll() is None, self.log.read_text()[-3000:]
                time.sleep(0.2)

    def start(self) -> "Server":
        return self.begin().wait()

    def kill(self) -> None:
        if self.process:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    @contextlib.contextmanager
    def running(self) -> Iterator["Server"]:
        try:
            yield self.start()
        finally:
            self.kill()


def prefect_server(folder: Path, **variables: str) -> Server:
    """``prefect server start``, with its database in ``folder`` unless ``variables`` name another."""
    port = free_port()
    command = [sys.executable, "-m", "prefect", "server", "start", "--port", str(port), "--no-ui"]
    variables = {"PREFECT_HOME": str(folder / "prefect"), "PREFECT_API_URL": "", **variables}
    return Server(folder, "prefect", command, f"http://127.0.0.1:{port}/api/health", **variables)


def mlflow_server(folder: Path, store: str, artifacts: str, port: int | None = None, **variables: str) -> Server:
    """``mlflow server`` on the database ``store``."""
    port = port or free_port()
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", store, "--artifacts-destination", artifacts]
    variables = {**variables, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}  # several processes that nobody needs here
    return Server(folder, "mlflow", command, f"http://127.0.0.1:{port}/health", **variables)


@dataclass(frozen=True)
class Prefect:
    """Prefect's REST API at ``url``, which ends in ``/api``."""

    url: str

    def _ask(self, path: str, body: dict[str, Any] | None = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}/{path}", data, {"Content-Type": "application/json"})
        deadline = time.time() + 60
        while True:
            try:
                with urllib.request.urlopen(request, timeout=30) as answer:
                    return json.load(answer)
            except urllib.error.HTTPError as error:  # a busy SQLite; Prefect's own client asks again, too
                if error.code != 503 or time.time() > deadline:
                    raise
                time.sleep(0.5)

    def deployment(self, name: str) -> dict[str, Any]:
        """Of the flow ``distillation``."""
        found: dict[str, Any] = self._ask(f"deployments/name/distillation/{name}")
        return found

    def trigger(self, deployment: str, **parameters: Any) -> str:
        """Ask for a run; its id."""
        known = self.deployment(deployment)["id"]
        wanted = {"parameters": parameters, "idempotency_key": uuid.uuid4().hex}
        return str(self._ask(f"deployments/{known}/create_flow_run", wanted)["id"])

    def runs(self) -> dict[str, dict[str, Any]]:
        return {run["id"]: run for run in self._ask("flow_runs/filter", {})}

    def ended(self, run: str, seconds: float) -> dict[str, Any]:
        """The run when it is over, or as it is after so many ``seconds``."""
        deadline = time.time() + seconds
        while True:
            found: dict[str, Any] = self.runs()[run]
            if found["state_type"] not in ("SCHEDULED", "PENDING", "RUNNING") or time.time() > deadline:
                return found
            time.sleep(0.5)

    def states(self) -> dict[str, str]:
        """Of all runs, by their ids."""
        return {name: run["state_type"] for name, run in self.runs().items()}

    def artifacts(self, run: str) -> list[dict[str, Any]]:
        return [one for one in self._ask("artifacts/filter", {}) if one["flow_run_id"] == run]
