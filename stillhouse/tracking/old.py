"""Runs and versions that are old and that no alias leads to."""

import time

from mlflow.entities import Run
from mlflow.tracking import MlflowClient

from stillhouse.tracking.runs import PARENT_TAG


def remove_old_runs(experiment_id: str, model: str, days: float, dry: bool) -> tuple[int, int]:
    """Remove what began before so many days: versions of ``model`` without an alias, and runs without a version.

    A flow's run and those of its stages stay or go together. ``dry``: only count.

    Returns:
        How many runs, and how many versions.
    """
    client, limit = MlflowClient(), (time.time() - 86_400 * days) * 1000
    versions = [
        client.get_model_version(model, found.version) for found in client.search_model_versions(f"name = '{model}'")
    ]
    old = [version for version in versions if not version.aliases and version.creation_timestamp < limit]
    gone = {version.version for version in old}
    kept: set[str] = set()
    for version in versions:
        if version.version not in gone:
            kept |= {version.run_id, *(run for tag, run in version.tags.items() if tag.startswith("run."))}
    families = _families(_all_runs(client, experiment_id))
    dead = [run for family in families for run in family if _may_go(family, kept, limit)]
    if not dry:
        for version in old:
            client.delete_model_version(model, version.version)
        for run in dead:
            client.delete_run(run.info.run_id)
    return len(dead), len(old)


def _may_go(family: list[Run], kept: set[str], limit: float) -> bool:
    return all(run.info.run_id not in kept and run.info.start_time < limit for run in family)


def _families(runs: list[Run]) -> list[list[Run]]:
    """Each top run with all below it."""
    parents = {run.info.run_id: run.data.tags.get(PARENT_TAG) for run in runs}
    found: dict[str, list[Run]] = {}
    for run in runs:
        top = run.info.run_id
        while (above := parents.get(top)) in parents and above:
            top = above
        found.setdefault(top, []).append(run)
    return list(found.values())


def _all_runs(client: MlflowClient, experiment_id: str) -> list[Run]:
    runs: list[Run] = []
    token: str | None = None
    while True:
        page = client.search_runs([experiment_id], page_token=token)
        runs += page
        if not (token := page.token):
            return runs
