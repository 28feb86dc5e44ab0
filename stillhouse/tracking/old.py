"""Removal of old runs, and of old versions without an alias."""

import time

from mlflow.entities import Run
from mlflow.tracking import MlflowClient

from stillhouse.tracking.runs import PARENT_TAG


def remove_old_runs(experiment_id: str, model: str, days: float, dry: bool) -> tuple[int, int]:
    """Remove versions of ``model`` without an alias, and runs that no remaining version refers to.

    A flow's run and the runs of its stages are removed together or not at all.

    Args:
        experiment_id: of the runs.
        model: name of the registered model.
        days: only runs and versions that are older than this many days are removed.
        dry: only count.

    Returns:
        The number of runs and the number of versions.
    """
    client, limit = MlflowClient(), (time.time() - 86_400 * days) * 1000
    versions = [
        client.get_model_version(model, found.version) for found in client.search_model_versions(f"name = '{model}'")
    ]
    old = [version for version in versions if not version.aliases and version.creation_timestamp < limit]
    removed = {version.version for version in old}
    referenced: set[str] = set()
    for version in versions:
        if version.version not in removed:
            referenced |= {version.run_id, *(run for tag, run in version.tags.items() if tag.startswith("run."))}
    families = _families(_all_runs(client, experiment_id))
    old_runs = [run for family in families for run in family if _is_removable(family, referenced, limit)]
    if not dry:
        for version in old:
            client.delete_model_version(model, version.version)
        for run in old_runs:
            client.delete_run(run.info.run_id)
    return len(old_runs), len(old)


def _is_removable(family: list[Run], referenced: set[str], limit: float) -> bool:
    return all(run.info.run_id not in referenced and run.info.start_time < limit for run in family)


def _families(runs: list[Run]) -> list[list[Run]]:
    """Groups of runs: each run without a parent, with all its descendants."""
    parents = {run.info.run_id: run.data.tags.get(PARENT_TAG) for run in runs}
    found: dict[str, list[Run]] = {}
    for run in runs:
        top = run.info.run_id
        while (parent := parents.get(top)) in parents and parent:
            top = parent
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
