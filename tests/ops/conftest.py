"""Real servers on this machine's loopback, for as long as a module's tests take."""

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest


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

    def start(self) -> "Server":
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command, cwd=self.folder, env=self.environment, stdout=log, stderr=log, start_new_session=True
            )
        deadline = time.time() + 180
        while True:
            try:
                urllib.request.urlopen(self.url, timeout=5)
                return self
            except OSError:
                assert time.time() < deadline and self.process.poll() is None, self.log.read_text()[-3000:]
                time.sleep(0.2)

    def kill(self) -> None:
        if self.process:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


@pytest.fixture(scope="module")
def postgres() -> Iterator[str]:
    """``host:port`` of a PostgreSQL with the databases ``prefect`` and ``mlflow`` of the user ``stillhouse``."""
    homes = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
    initdb = shutil.which("initdb") or (str(homes[-1] / "initdb") if homes else None)
    if initdb is None:
        pytest.skip("PostgreSQL is not installed")
    place, port = Path(initdb).resolve().parent, free_port()
    folder = Path(tempfile.mkdtemp(prefix="stillhouse-postgres-"))
    user = None
    if os.getuid() == 0:  # it refuses to be run by root
        try:
            user = pwd.getpwnam("postgres")
        except KeyError:
            pytest.skip("PostgreSQL does not run as root, and there is no user postgres")
        os.chown(folder, user.pw_uid, user.pw_gid)
    own = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []} if user else {}
    data = str(folder / "data")

    def run(*command: str) -> None:
        with (folder / "log").open("ab") as log:  # a server that inherits a pipe would hold it open
            subprocess.run(command, check=True, stdout=log, stderr=log, cwd=folder, **own)

    (folder / "log").touch()
    if user:
        os.chown(folder / "log", user.pw_uid, user.pw_gid)
    run(str(place / "initdb"), "-D", data, "-U", "stillhouse", "--auth=trust", "--no-sync")
    options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={folder} -c fsync=off"
    run(str(place / "pg_ctl"), "-D", data, "-o", options, "-w", "-l", str(folder / "log"), "start")
    try:
        for name in ("prefect", "mlflow"):
            run(str(place / "createdb"), "-h", "127.0.0.1", "-p", str(port), "-U", "stillhouse", name)
        yield f"127.0.0.1:{port}"
    finally:
        run(str(place / "pg_ctl"), "-D", data, "-m", "immediate", "stop")
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def s3(tmp_path_factory) -> Iterator[dict[str, str]]:
    """The variables of an S3 store with the buckets ``mlflow`` and ``dvc``."""
    boto3 = pytest.importorskip("boto3")
    pytest.importorskip("moto.server")
    port = free_port()
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    server = Server(tmp_path_factory.mktemp("s3"), "s3", command, f"http://127.0.0.1:{port}/").start()
    variables = {
        "AWS_ACCESS_KEY_ID": "stillhouse",
        "AWS_SECRET_ACCESS_KEY": "hush-hush",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "MLFLOW_S3_ENDPOINT_URL": f"http://127.0.0.1:{port}",
    }
    keys = {"aws_access_key_id": "stillhouse", "aws_secret_access_key": "hush-hush", "region_name": "us-east-1"}
    client = boto3.client("s3", endpoint_url=variables["AWS_ENDPOINT_URL"], **keys)
    for bucket in ("mlflow", "dvc"):
        client.create_bucket(Bucket=bucket)
    try:
        yield variables
    finally:
        server.kill()


@pytest.fixture(scope="module")
def mlflow_server(postgres, s3, tmp_path_factory) -> Iterator[Server]:
    """``mlflow server`` on PostgreSQL, its files in S3."""
    port = free_port()
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", f"postgresql+psycopg2://stillhouse@{postgres}/mlflow"]
    command += ["--artifacts-destination", "s3://mlflow"]
    variables = {**s3, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}  # several processes that nobody needs here
    server = Server(
        tmp_path_factory.mktemp("mlflow"), "mlflow", command, f"http://127.0.0.1:{port}/health", **variables
    )
    yield server.start()
    server.kill()


@pytest.fixture(scope="module")
def prefect_server(postgres, tmp_path_factory) -> Iterator[Server]:
    """``prefect server start`` on PostgreSQL."""
    port, folder = free_port(), tmp_path_factory.mktemp("prefect")
    command = [sys.executable, "-m", "prefect", "server", "start", "--port", str(port), "--no-ui"]
    variables = {
        "PREFECT_HOME": str(folder),
        "PREFECT_API_URL": "",
        "PREFECT_API_DATABASE_CONNECTION_URL": f"postgresql+asyncpg://stillhouse@{postgres}/prefect",
    }
    server = Server(folder, "prefect", command, f"http://127.0.0.1:{port}/api/health", **variables)
    yield server.start()
    server.kill()
