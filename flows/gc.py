"""``stillhouse gc``: remove old files of runs that are no longer needed.

It removes copies of the project in which experiments and reproductions ran, checkpoints, registered versions without an
alias, tracked runs without a registered version, and flow runs in the project's own Prefect database, if they are older
than ``--days``. It also removes files in DVC's cache that neither the workspace nor a commit names, of any age. The
data, the outputs and every version with an alias stay, and so does a DVC cache outside of the project, since other
projects may use it.
"""

import os
import shlex
import shutil
import sqlite3
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from flows.shared.environment import HOME, own_prefect_home

own_prefect_home()  # before the import of Prefect, which reads its settings at import

from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterStartTime

from flows.shared.server import prefect_server
from flows.shared.stopping import command
from stillhouse.params import load_params
from stillhouse.pipeline.dvc_config import cache_folder
from stillhouse.pipeline.lock import project_lock
from stillhouse.pipeline.room import size_of
from stillhouse.pipeline.scm import in_git
from stillhouse.project import STATE
from stillhouse.tracking.address import tracking_uri
from stillhouse.tracking.old import remove_old_runs
from stillhouse.tracking.store import connect

COPIES = ("comparison", "labels", "study", "bench", "reproduce", "scratch", "teachers")  # below .stillhouse


def old_copies(days: float) -> list[Path]:
    """Return the folders of experiments, reproductions and trainings in which no file changed for ``days`` days."""
    limit = time.time() - days * 86_400
    folders = [folder for name in COPIES for folder in (STATE / name).glob("*") if folder.is_dir()]
    return [folder for folder in folders if max(_times(folder), default=0.0) < limit]


def _times(folder: Path) -> list[float]:
    return [path.lstat().st_mtime for path in (folder, *folder.rglob("*"))]


def remove_old_flow_runs(days: float) -> int:
    """Delete old flow runs from the project's own Prefect database. A configured server is not changed.

    Returns:
        The number of deleted flow runs.
    """
    database = HOME / "prefect.db"
    if os.environ.get("PREFECT_API_URL") or not database.exists():
        return 0
    before = datetime.now(UTC) - timedelta(days=days)
    count = 0
    with prefect_server(), get_client(sync_client=True) as client:
        old = FlowRunFilter(start_time=FlowRunFilterStartTime(before_=before))
        while found := client.read_flow_runs(flow_run_filter=old, limit=200):
            for run in found:
                client.delete_flow_run(run.id)
            count += len(found)
    with sqlite3.connect(database) as connection:
        connection.execute("VACUUM")
    return count


def _used_bytes() -> int:
    return sum(map(size_of, (STATE, Path(".dvc/cache"), Path("mlartifacts"))))


def shared_cache() -> Path | None:
    """Return DVC's cache if it lies outside of the project, since other projects may use it."""
    cache = cache_folder()
    return None if cache.is_relative_to(Path().resolve()) else cache


def _dvc_gc() -> None:
    scope = ["--workspace", *(["--all-commits"] if in_git() else [])]
    if cache := shared_cache():
        words = shlex.join(["dvc", "gc", *scope, "--projects"])
        print(
            f"DVC's cache {cache} was not cleaned: other projects may use it. To clean it, name all of them: "
            f"{words} OTHER_PROJECT ..."
        )
        return
    subprocess.run([sys.executable, "-m", "dvc", "gc", "--force", "--quiet", *scope], check=True)


@command
def main(days: float, dry_run: bool) -> None:
    """Remove old files and print their number and size.

    Args:
        days: Age in days of what is removed. DVC's cache, and runs that were deleted in MLflow, are cleaned whatever
            their age.
        dry_run: Remove nothing. Print the number of copies, checkpoints, versions and tracked runs.
    """
    params = load_params()
    with project_lock(params.flow.when_busy, print):
        before = _used_bytes()
        experiment = connect(params.tracking.experiment)
        copies = old_copies(days)
        print(f"copies and checkpoints: {len(copies)}, {sum(map(size_of, copies)) / 1e6:,.1f} MB")
        runs, versions = remove_old_runs(experiment, params.model_name, days, dry_run)
        print(f"tracked runs: {runs}; registered versions without an alias: {versions}")
        if dry_run:
            print("Nothing was removed: --dry-run.")
            return
        for folder in copies:
            shutil.rmtree(folder)
        if tracking_uri().startswith("sqlite:"):  # the owner of an MLflow server removes the server's files
            words = ["gc", "--backend-store-uri", tracking_uri()]
            subprocess.run([sys.executable, "-m", "mlflow", *words], check=True, capture_output=True)
        print(f"flow runs in the project's own Prefect database: {remove_old_flow_runs(days)}")
        _dvc_gc()
        print(f"{(before - _used_bytes()) / 1e6:,.1f} MB were freed.")


if __name__ == "__main__":
    from flows.cli import main as start

    start("gc")
