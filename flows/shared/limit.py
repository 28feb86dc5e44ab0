"""The limit of trainings at once, as Prefect's server keeps it."""

import contextlib

from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import GlobalConcurrencyLimitCreate, GlobalConcurrencyLimitUpdate
from prefect.exceptions import ObjectAlreadyExists, ObjectNotFound

from tasks.shared.runner import gpu_limit


def ensure_gpu_limit(slots: int, free: bool = False) -> None:
    """Create the global concurrency limit for training where the Prefect server has none, or set its slots.

    ``free``: give back those that are taken, since nobody who took one is alive.
    """
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
