"""``stillhouse serve-schedule``: serve the flow on the cron schedule of ``params.yaml`` until stopped.

It needs a Prefect server (``prefect server start``), which ``PREFECT_API_URL`` names. Its UI shows the schedule and can
start runs.
"""

import os
import sys

from flows.shared.environment import own_prefect_home

own_prefect_home()

from prefect.schedules import Cron

from flows.distillation import distillation
from flows.shared.running import crash_stale_runs
from stillhouse.errors import BadInput, StillhouseError
from stillhouse.params import load_params
from stillhouse.tracking.store import connect


def main() -> None:
    """Check the parameters and both servers, then serve."""
    try:
        params = load_params()
        connect(params.tracking.experiment)
        if not os.environ.get("PREFECT_API_URL"):
            raise BadInput(
                "Scheduling needs a Prefect server: start one with `prefect server start`, and set "
                "PREFECT_API_URL=http://127.0.0.1:4200/api."
            )
        schedule = Cron(params.schedule.cron, timezone=params.schedule.timezone)
    except StillhouseError as error:
        sys.exit(f"\n{error}")
    except ValueError as error:
        sys.exit(f"\nschedule.cron or schedule.timezone cannot be used: {error}")
    crash_stale_runs("distillation", params.model_name)
    distillation.serve(
        name=params.model_name,  # one Prefect server may serve many projects
        schedules=[schedule],
        parameters={"refresh": params.schedule.refresh},
        description="Distils again when data, code or parameters changed; otherwise ends within seconds.",
        limit=1,  # enforced by this process: the server stores no limit that could outlive it
        pause_on_shutdown=False,
    )


if __name__ == "__main__":
    from flows.cli import main as start

    start("serve-schedule")
