"""Prefect's settings for a machine without a server of its own, and the limits that the flows rely on."""

import contextlib
import os
import sys
from pathlib import Path
from types import TracebackType

HOME = Path(".stillhouse/prefect")


def own_prefect_home() -> None:
    """Keep Prefect's database in this project, unless the user has a server or a home of their own.

    Call before importing Prefect. An environment variable that is already set wins.
    """
    sys.excepthook = _without_traceback_if_stopped  # the imports take seconds, too
    if "PREFECT_API_URL" not in os.environ:
        home = HOME.resolve()
        home.mkdir(parents=True, exist_ok=True)
        os.environ.setdefault("PREFECT_HOME", str(home))
    os.environ.setdefault("PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS", "120")
    os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")


def _without_traceback_if_stopped(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        print("\nStopped before anything was started.", file=sys.stderr)
    else:
        sys.__excepthook__(kind, error, trace)


def ensure_gpu_limit(slots: int, free: bool = False) -> None:
    """Create the global concurrency limit for training where the Prefect server has none, or set its slots.

    ``free``: give back those that are taken, since nobody who took one is alive.
    """
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.actions import GlobalConcurrencyLimitCreate, GlobalConcurrencyLimitUpdate
    from prefect.exceptions import ObjectAlreadyExists, ObjectNotFound

    from tasks.runner import gpu_limit

    with get_client(sync_client=True) as client:
        try:
            limit = client.read_global_concurrency_limit_by_name(gpu_limit())
        except ObjectNotFound:
            # A flow that starts at the same time may be faster.
            with contextlib.suppress(ObjectAlreadyExists):
                client.create_global_concurrency_limit(GlobalConcurrencyLimitCreate(name=gpu_limit(), limit=slots))
        else:
            change = {"limit": slots} if limit.limit != slots else {}
            if free and limit.active_slots:
                change["active_slots"] = 0
            if change:
                client.update_global_concurrency_limit(gpu_limit(), GlobalConcurrencyLimitUpdate(**change))


def main() -> None:
    """Create Prefect's and MLflow's databases, which takes a quarter of a minute, before the first run."""
    own_prefect_home()
    from flows.server import prefect_server
    from stillhouse.params import load_params
    from stillhouse.tracking.runs import connect

    params = load_params()
    with prefect_server():
        connect(params.tracking.experiment)
        ensure_gpu_limit(params.flow.gpu_slots)


if __name__ == "__main__":
    main()
