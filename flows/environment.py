"""Prefect's settings for a machine without a server of its own, and the limits that the flows rely on."""

import os
from pathlib import Path


def own_prefect_home() -> None:
    """Keep Prefect's database in this project, unless the user has a server or a home of their own.

    Call before importing Prefect. An environment variable that is already set wins.
    """
    if "PREFECT_API_URL" not in os.environ:
        home = Path(".stillhouse/prefect").resolve()
        home.mkdir(parents=True, exist_ok=True)
        os.environ.setdefault("PREFECT_HOME", str(home))
    os.environ.setdefault("PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS", "120")
    os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")


def ensure_gpu_limit(slots: int) -> None:
    """Create the global concurrency limit ``gpu`` where the Prefect server has none, or set its slots."""
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.actions import GlobalConcurrencyLimitCreate, GlobalConcurrencyLimitUpdate
    from prefect.exceptions import ObjectNotFound

    from tasks.runner import GPU_LIMIT

    with get_client(sync_client=True) as client:
        try:
            limit = client.read_global_concurrency_limit_by_name(GPU_LIMIT)
        except ObjectNotFound:
            client.create_global_concurrency_limit(GlobalConcurrencyLimitCreate(name=GPU_LIMIT, limit=slots))
        else:
            if limit.limit != slots:
                client.update_global_concurrency_limit(GPU_LIMIT, GlobalConcurrencyLimitUpdate(limit=slots))


def main() -> None:
    """Create Prefect's and MLflow's databases, which takes a quarter of a minute, before the first run."""
    own_prefect_home()
    from stillhouse.params import load_params
    from stillhouse.tracking.runs import connect

    params = load_params()
    connect(params.tracking.experiment)
    ensure_gpu_limit(params.flow.gpu_slots)


if __name__ == "__main__":
    main()
