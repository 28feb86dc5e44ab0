"""Real servers on this machine's loopback, for as long as a module's tests take."""

import os
import pwd
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import servers
from servers import Server, free_port


def postgres_programs() -> Path:
    """The folder with PostgreSQL's programs; skips where there is none."""
    homes = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
    initdb = shutil.which("initdb") or (str(homes[-1] / "initdb") if homes else None)
    if initdb is None:
        pytest.skip("PostgreSQL is not installed")
    return Path(initdb).resolve().parent


def dumped(postgres: str) -> str:
    """All that the databases of the server at ``postgres`` hold, as text."""
    host, _, port = postgres.partition(":")
    words = [str(postgres_programs() / "pg_dumpall"), "-h", host, "-p", port, "-U", "stillhouse"]
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout


@pytest.fixture(scope="module")
def postgres() -> Iterator[str]:
    """``host:port`` of a PostgreSQL with the databases ``prefect`` and ``mlflow`` of the user ``stillhouse``."""
    place, port = postgres_programs(), free_port()
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
    variables = {
        "AWS_ACCESS_KEY_ID": "stillhouse",
        "AWS_SECRET_ACCESS_KEY": "hush-hush",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "MLFLOW_S3_ENDPOINT_URL": f"http://127.0.0.1:{port}",
    }
    keys = {"aws_access_key_id": "stillhouse", "aws_secret_access_key": "hush-hush", "region_name": "us-east-1"}
    client = boto3.client("s3", endpoint_url=variables["AWS_ENDPOINT_URL"], **keys)
    with Server(tmp_path_factory.mktemp("s3"), "s3", command, f"http://127.0.0.1:{port}/").running():
        for bucket in ("mlflow", "dvc"):
            client.create_bucket(Bucket=bucket)
        yield variables


@pytest.fixture(scope="module")
def mlflow_server(postgres, s3, tmp_path_factory) -> Iterator[Server]:
    """``mlflow server`` on PostgreSQL, its files in S3."""
    store = f"postgresql+psycopg2://stillhouse@{postgres}/mlflow"
    with servers.mlflow_server(tmp_path_factory.mktemp("mlflow"), store, "s3://mlflow", **s3).running() as server:
        yield server


@pytest.fixture(scope="module")
def prefect_server(postgres, tmp_path_factory) -> Iterator[Server]:
    """``prefect server start`` on PostgreSQL."""
    store = f"postgresql+asyncpg://stillhouse@{postgres}/prefect"
    folder = tmp_path_factory.mktemp("prefect")
    with servers.prefect_server(folder, PREFECT_API_DATABASE_CONNECTION_URL=store).running() as server:
        yield server
