"""The servers that ``benchmarks.many`` shares among projects: what they take, what they are sent, how fast they answer.

They are those of ``make test-ops``: PostgreSQL with a database for each, MLflow with its files in S3 (moto), Prefect.
"""

import contextlib
import re
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import psycopg2
import requests

sys.path.insert(0, str(Path("tests").resolve()))
import servers

IDLE_S = 20.0  # over which the processor seconds of idle servers are counted
REPEATS = 40  # of each timed request
REQUEST = re.compile(r'"(\w+) (/[^" ]*)(?: HTTP/[\d.]+)?" (\S+)')  # of uvicorn's access log
VARYING = re.compile(r"^([0-9a-f]{8}-[0-9a-f-]{27}|(m-)?[0-9a-f]{32}|\d+)$")  # ids in a path
FILES = re.compile(r"(mlflow-artifacts/(artifacts|presigned))/.*")


def endpoint(method: str, url: str) -> str:
    """``url`` without its query and with ``*`` for ids and names of files."""
    parts = FILES.sub(r"\1/*", url.partition("?")[0]).split("/")
    return f"{method} {'/'.join('*' if VARYING.match(part) else part for part in parts)}"


def requests_in(log: str) -> tuple[Counter[str], int]:
    """The requests of an access log by their endpoint, and the number that failed in the server (500 and above)."""
    found = REQUEST.findall(log)
    refused = sum(answer.startswith("5") for *_, answer in found)
    return Counter(endpoint(method, url) for method, url, _ in found), refused


@dataclass(frozen=True)
class Shared:
    """The running servers."""

    prefect: servers.Server
    mlflow: servers.Server
    postgres: str
    s3: dict[str, str]

    @property
    def logs(self) -> dict[str, Path]:
        """The files with the access logs."""
        return {"Prefect": self.prefect.log, "MLflow": self.mlflow.log}

    @property
    def prefect_url(self) -> str:
        """Of Prefect's API."""
        return self.prefect.url.removesuffix("/health")

    @property
    def mlflow_url(self) -> str:
        """Of MLflow."""
        return self.mlflow.url.removesuffix("/health")

    def rows(self, database: str, query: str) -> list[tuple[Any, ...]]:
        """The result of a query."""
        with contextlib.closing(psycopg2.connect(f"postgresql://stillhouse@{self.postgres}/{database}")) as connection:
            cursor = connection.cursor()
            cursor.execute(query)
            return cursor.fetchall()

    def processes(self) -> dict[str, list[psutil.Process]]:
        """The processes of each server, the first of them first."""
        [[postmaster]] = self.rows("mlflow", r"SELECT split_part(pg_read_file('postmaster.pid'), E'\n', 1)")
        first = {"Prefect": self.prefect.process, "MLflow": self.mlflow.process}
        pids = {name: process.pid for name, process in first.items() if process} | {"PostgreSQL": int(postmaster)}
        roots = {name: psutil.Process(pid) for name, pid in pids.items()}
        return {name: [root, *root.children(recursive=True)] for name, root in roots.items()}

    def cpu_s(self) -> dict[str, float]:
        """Seconds of the processor of each server so far, with those of its processes that have ended."""
        return {name: sum(map(_cpu_s, found)) for name, found in self.processes().items()}

    def memory_mb(self) -> dict[str, float]:
        """Memory of each server (PSS: pages that processes share count once)."""
        return {name: sum(map(_pss, found)) / 1e6 for name, found in self.processes().items()}


def _cpu_s(process: psutil.Process) -> float:
    with contextlib.suppress(psutil.Error):
        times = process.cpu_times()
        return times.user + times.system + times.children_user + times.children_system
    return 0.0


def _pss(process: psutil.Process) -> float:
    with contextlib.suppress(psutil.Error):
        return process.memory_full_info().pss
    return 0.0


@contextlib.contextmanager
def shared_servers(folder: Path) -> Iterator[Shared]:
    """Start the servers with PostgreSQL's default settings; their logs are in ``folder``.

    Raises:
        NotInstalled: PostgreSQL is missing.
    """
    with contextlib.ExitStack() as stack:
        postgres, s3 = stack.enter_context(servers.postgres()), stack.enter_context(servers.s3(folder))
        store = f"postgresql+asyncpg://stillhouse@{postgres}/prefect"
        variables = {"PREFECT_API_DATABASE_CONNECTION_URL": store, "PREFECT_SERVER_LOGGING_LEVEL": "INFO"}
        prefect = servers.prefect_server(folder, **variables).begin()
        stack.callback(prefect.kill)
        store = f"postgresql+psycopg2://stillhouse@{postgres}/mlflow"
        mlflow = servers.mlflow_server(folder, store, "s3://mlflow", **s3).begin()
        stack.callback(mlflow.kill)
        yield Shared(prefect.wait(), mlflow.wait(), postgres, s3)


@contextlib.contextmanager
def counted(shared: Shared) -> Iterator[dict[str, Any]]:
    """Count what the servers do in the block; the dictionary is complete after it."""
    starts = {name: file.stat().st_size for name, file in shared.logs.items()}
    cpu, start, found = shared.cpu_s(), time.perf_counter(), dict[str, Any]()
    yield found
    found["seconds"] = time.perf_counter() - start
    found["cpu_s"] = {name: now - cpu[name] for name, now in shared.cpu_s().items()}
    logs = {name: file.read_bytes()[starts[name] :].decode(errors="replace") for name, file in shared.logs.items()}
    read = {name: requests_in(log) for name, log in logs.items()}
    found["requests"] = {name: dict(requests.most_common()) for name, (requests, _) in read.items()}
    found["refused"] = {name: refused for name, (_, refused) in read.items()}


def point(shared: Shared, experiment: str) -> dict[str, Any]:
    """Measure the idle servers: processor, memory, sizes, and the latency of pages if ``experiment`` exists."""
    before = shared.cpu_s()
    time.sleep(IDLE_S)
    idle = {name: (now - before[name]) / IDLE_S for name, now in shared.cpu_s().items()}
    sizes, tables = {}, {}
    for database in ("prefect", "mlflow"):
        [[size]] = shared.rows(database, f"SELECT pg_database_size('{database}')")
        largest = "SELECT relname, pg_total_relation_size(relid) FROM pg_stat_user_tables ORDER BY 2 DESC LIMIT 8"
        sizes[database] = size / 1e6
        tables[database] = {name: size / 1e6 for name, size in shared.rows(database, largest)}
    measured = {"idle_cpu": idle, "memory_mb": shared.memory_mb(), "database_mb": sizes, "table_mb": tables}
    return measured | {"files_mb": _files_mb(shared.s3), "latency_ms": _latencies(shared, experiment)}


def _files_mb(s3: dict[str, str]) -> float:
    pages = servers.s3_client(s3).get_paginator("list_objects_v2").paginate(Bucket="mlflow")
    return sum(one["Size"] for page in pages for one in page.get("Contents", [])) / 1e6


def _latencies(shared: Shared, experiment: str) -> dict[str, list[float]]:
    """Median and 95th percentile in milliseconds of requests that the pages of both servers send."""
    session, api = requests.Session(), shared.prefect_url
    pages = f"{shared.mlflow_url}/ajax-api/2.0/mlflow"

    def ask(method: str, url: str, **options: Any) -> Any:
        answer = session.request(method, url, timeout=60, **options)
        answer.raise_for_status()
        return answer.json()

    found = ask("GET", f"{pages}/experiments/search", params={"max_results": 1000}).get("experiments", [])
    known = {one["name"]: one["experiment_id"] for one in found}
    runs = ask("POST", f"{api}/flow_runs/filter", json={"limit": 1, "sort": "START_TIME_ASC"})
    if experiment not in known or not runs:
        return {}
    run, of_run = runs[0]["id"], {"any_": [runs[0]["id"]]}
    one = {"experiment_ids": [known[experiment]], "max_results": 100}
    newest, log = {"limit": 50, "sort": "START_TIME_DESC"}, {"logs": {"flow_run_id": of_run}, "limit": 200}
    timed: dict[str, Callable[[], Any]] = {
        "MLflow: experiments": lambda: ask("GET", f"{pages}/experiments/search", params={"max_results": 25}),
        "MLflow: runs of one experiment": lambda: ask("POST", f"{pages}/runs/search", json=one),
        "MLflow: registered models": lambda: ask(
            "GET", f"{pages}/registered-models/search", params={"max_results": 25}
        ),
        "Prefect: newest flow runs": lambda: ask("POST", f"{api}/flow_runs/filter", json=newest),
        "Prefect: number of flow runs": lambda: ask("POST", f"{api}/flow_runs/count", json={}),
        "Prefect: task runs of a flow run": lambda: ask(
            "POST", f"{api}/task_runs/filter", json={"flow_runs": {"id": {"any_": [run]}}}
        ),
        "Prefect: log of a flow run": lambda: ask("POST", f"{api}/logs/filter", json=log),
    }
    return {name: _timed(request) for name, request in timed.items()}


def _timed(request: Callable[[], Any]) -> list[float]:
    request()
    seconds = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        request()
        seconds.append(time.perf_counter() - start)
    return [1000 * float(np.quantile(seconds, share)) for share in (0.5, 0.95)]


def outcome(shared: Shared) -> dict[str, int]:
    """What the servers have at the end: flow runs by their state, registered models, and those with a champion."""
    states = shared.rows("prefect", "SELECT state_type::text, count(*) FROM flow_run GROUP BY 1")
    [[models]] = shared.rows("mlflow", "SELECT count(*) FROM registered_models")
    [[champions]] = shared.rows("mlflow", "SELECT count(*) FROM registered_model_aliases WHERE alias = 'champion'")
    return {f"flow runs {state}": number for state, number in states} | {
        "registered models": models,
        "champions": champions,
    }
