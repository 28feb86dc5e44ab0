"""Prefect's settings for a machine without a server of its own."""

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
    if not os.environ.get("PREFECT_API_URL"):
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
