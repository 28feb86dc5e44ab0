"""What all tests share: one finished project, and who has it when."""

import contextlib
import os
import signal
from pathlib import Path

import pytest
from filelock import FileLock
from project import Project, new_project
from servers import prefect_server


def pytest_configure():
    os.environ.update(
        PREFECT_SERVER_ANALYTICS_ENABLED="false",
        MLFLOW_DISABLE_TELEMETRY="true",
        HF_HUB_OFFLINE="1",
        DVC_NO_ANALYTICS="1",
    )
    if "PYTEST_XDIST_WORKER" in os.environ:  # two processes of two threads each on two cores wait for each other
        os.environ["OMP_NUM_THREADS"] = "1"
        if os.environ["PYTEST_XDIST_WORKER"] != "gw0":  # the others wait for the project that the first one makes
            os.nice(5)


def pytest_collection_modifyitems(items):
    """The first process makes the finished project at once; the others have what needs none until it is there.

    Of what needs it the longest comes first, so that no process ends alone.
    """
    longest = ["test_year", "test_stopping", "test_crashes", "test_clusters", "test_comparison", "test_promise"]
    longest += ["test_study", "test_fleet", "test_user_mistakes", "test_end_to_end", "test_labels", "test_server"]
    longest += ["test_secrets", "test_several_teachers", "test_damage", "test_label_file", "test_every_student"]
    rank = {name: place for place, name in enumerate(longest)}
    items.sort(key=lambda item: rank.get(item.module.__name__.rpartition(".")[2], len(rank)))
    if any(item.path.parent.name == "ops" for item in items):  # few and long: dealt out like cards, a stretch to each
        workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
        stretches = sorted((items[first::workers] for first in range(workers)), key=len)  # as they are given away
        items[:] = [item for stretch in stretches for item in stretch]
    else:
        items.sort(key=lambda item: "finished" not in item.fixturenames)


def pytest_sessionfinish(session):
    """The shared server goes with the process that leads the others."""
    factory = getattr(session.config, "_tmp_path_factory", None)
    if "PYTEST_XDIST_WORKER" not in os.environ and factory:
        pid = factory.getbasetemp() / "server.pid"
        if pid.exists():
            with contextlib.suppress(ProcessLookupError):  # it never came up
                os.killpg(int(pid.read_text()), signal.SIGKILL)


@pytest.fixture(scope="session")
def finished(tmp_path_factory) -> Project:
    """A project whose flow ran once, whole. Tests that change it work on a copy; all workers share it.

    ``STILLHOUSE_FINISHED`` names a folder in which it is kept for the next suite on the same code.
    """
    base = tmp_path_factory.getbasetemp()
    base = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    shared = Project(Path(os.environ.get("STILLHOUSE_FINISHED") or base) / "finished")
    log, url = shared.folder / "first-run.log", base / "server.url"
    with FileLock(f"{shared.folder}.lock"):
        if not url.exists():
            server = prefect_server(base).begin()  # that all processes share: each flow would start one of its own
            (base / "server.pid").write_text(str(server.process.pid))
            if not log.exists():
                done = new_project(shared.folder).flow()  # with the server that a flow starts for itself
                assert done.returncode == 0, done.stdout
                log.write_text(done.stdout)
            server.wait()
            url.write_text(server.url.removesuffix("/health"))
    shared.server = url.read_text()
    return shared


@pytest.fixture
def project(finished, tmp_path) -> Project:
    """A finished project to change."""
    return finished.copy(tmp_path / "project")
