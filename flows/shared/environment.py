"""Prefect's settings for a machine without a server of its own."""

import atexit
import os
import shutil
import sys
import tempfile
from pathlib import Path
from types import TracebackType

HOME = Path(".stillhouse/prefect")


def own_prefect_home() -> None:
    """Keep Prefect's database in this project, unless the user has a server or a home of their own.

    Call before importing Prefect. An environment variable that is already set wins.
    """
    sys.excepthook = _without_traceback_if_stopped  # the imports take seconds, too
    if not os.environ.get("PREFECT_API_URL") and "PREFECT_HOME" not in os.environ:
        home = HOME.resolve() if Path("params.yaml").is_file() else _temporary()
        home.mkdir(parents=True, exist_ok=True)
        os.environ["PREFECT_HOME"] = str(home)
    os.environ.setdefault("PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS", "120")
    os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")


def _temporary() -> Path:
    """A folder for a command outside of a project, where nothing may be left behind; removed when it ends."""
    home = Path(tempfile.mkdtemp(prefix="stillhouse-"))
    atexit.register(shutil.rmtree, home, ignore_errors=True)
    return home


def _without_traceback_if_stopped(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        print("\nStopped before anything was started.", file=sys.stderr)
    else:
        sys.__excepthook__(kind, error, trace)
