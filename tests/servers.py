"""Real servers on this machine's loopback, and calls to Prefect's that need no new Python process."""

import contextlib
import json
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
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


class NotInstalled(RuntimeError):
    """This machine lacks a program."""


def postgres_programs() -> Path:
    """The folder with PostgreSQL's programs.

    Raises:
        NotInstalled: there is none.
    """
    homes = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
    initdb = shutil.which("initdb") or (str(homes[-1] / "initdb") if homes else None)
    if initdb is None:
        raise NotInstalled("PostgreSQL is not installed")
    return Path(initdb).resolve().parent


@contextlib.contextmanager
def postgres(*settings: str) -> Iterator[str]:
    """``host:port`` of a PostgreSQL with the databases ``prefect`` and ``mlflow`` of the user ``stillhouse``.

    Args:
        settings: of the server, such as ``fsync=off``.

    Raises:
        NotInstalled: PostgreSQL is not installed, or it would have to run as root.
    """
    place, port = postgres_programs(), free_port()
    user = None
    if os.getuid() == 0:  # it refuses to be run by root
        try:
            user = pwd.getpwnam("postgres")
        except KeyError:
            raise NotInstalled("PostgreSQL does not run as root, and there is no user postgres") from None
    folder = Path(tempfile.mkdtemp(prefix="stillhouse-postgres-"))
    own = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []} if user else {}
    data = str(folder / "data")

    def run(*command: str) -> None:
        with (folder / "log").open("ab") as log:  # a server that inherits a pipe would hold it open
            subprocess.run(command, check=True, stdout=log, stderr=log, cwd=folder, **own)

    (folder / "log").touch()
    if user:
        os.chown(folder, user.pw_uid, user.pw_gid)
        os.chown(folder / "log", user.pw_uid, user.pw_gid)
    run(str(place / "initdb"), "-D", data, "-U", "stillhouse", "--auth=trust", "--no-sync")
    settings = ("listen_addresses=127.0.0.1", f"unix_socket_directories={folder}", *settings)
    options = " ".join([f"-p {port}", *(f"-c {setting}" for setting in settings)])
    run(str(place / "pg_ctl"), "-D", data, "-o", options, "-w", "-l", str(folder / "log"), "start")
    try:
        for name in ("prefect", "mlflow"):
            run(str(place / "createdb"), "-h", "127.0.0.1", "-p", str(port), "-U", "stillhouse", name)
        yield f"127.0.0.1:{port}"
    finally:
        run(str(place / "pg_ctl"), "-D", data, "-m", "immediate", "stop")
        shutil.rmtree(folder, ignore_errors=True)


def s3_client(variables: dict[str, str]) -> Any:
    """A client of the S3 store with these variables."""
    import boto3

    return boto3.client(
        "s3",
        endpoint_url=variables["AWS_ENDPOINT_URL"],
        aws_access_key_id=variables["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=variables["AWS_SECRET_ACCESS_KEY"],
        region_name=variables["AWS_DEFAULT_REGION"],
    )


@contextlib.contextmanager
def s3(folder: Path) -> Iterator[dict[str, str]]:
    """The variables of an S3 store with the buckets ``mlflow`` and ``dvc``; its log is in ``folder``."""
    port = free_port()
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    variables = {
        "AWS_ACCESS_KEY_ID": "stillhouse",
        "AWS_SECRET_ACCESS_KEY": "hush-hush",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "MLFLOW_S3_ENDPOINT_URL": f"http://127.0.0.1:{port}",
    }
    client = s3_client(variables)
    with Server(folder, "s3", command, f"http://127.0.0.1:{port}/").running():
        for bucket in ("mlflow", "dvc"):
            client.create_bucket(Bucket=bucket)
        yield variables
