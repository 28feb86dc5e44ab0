"""Real servers on this machine's loopback, for as long as a module's tests take."""

import contextlib
import subprocess
from collections.abc import Iterator

import pytest
import servers
from servers import Server


def dumped(postgres: str) -> str:
    """All that the databases of the server at ``postgres`` hold, as text."""
    host, _, port = postgres.partition(":")
    words = [str(servers.postgres_programs() / "pg_dumpall"), "-h", host, "-p", port, "-U", "stillhouse"]
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout


@pytest.fixture(scope="module")
def postgres() -> Iterator[str]:
    """``host:port`` of a PostgreSQL with the databases ``prefect`` and ``mlflow`` of the user ``stillhouse``."""
    with contextlib.ExitStack() as stack:
        try:
            address = stack.enter_context(servers.postgres("fsync=off"))
        except servers.NotInstalled as missing:
            pytest.skip(str(missing))
        yield address


@pytest.fixture(scope="module")
def s3(tmp_path_factory) -> Iterator[dict[str, str]]:
    """The variables of an S3 store with the buckets ``mlflow`` and ``dvc``."""
    pytest.importorskip("boto3")
    pytest.importorskip("moto.server")
    with servers.s3(tmp_path_factory.mktemp("s3")) as variables:
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
