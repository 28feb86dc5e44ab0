"""Prefect's settings for a machine without a Prefect server."""

import atexit
import os
import shutil
import sys
import tempfile
from pathlib import Path
from types import TracebackType

HOME = Path(".stillhouse/prefect")


def own_prefect_home() -> None:
    """Put Prefect's database into this project, unless the user configured a server or ``PREFECT_HOME``.

    Call it before Prefect is imported. Environment variables that are already set take precedence.
    """
    sys.excepthook = _without_traceback_if_stopped  # imports take seconds, and Ctrl-C may arrive during them
    if not os.environ.get("PREFECT_API_URL") and "PREFECT_HOME" not in os.environ:
        home = HOME.resolve() if Path("params.yaml").is_file() else _temporary()
        home.mkdir(parents=True, exist_ok=True)
        os.environ["PREFECT_HOME"] = str(home)
    os.environ.setdefault("PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS", "120")
    os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")


def _temporary() -> Path:
    """A temporary folder for a command outside of a project. It is removed when the command ends."""
    home = Path(tempfile.mkdtemp(prefix="stillhouse-"))
    atexit.register(shutil.rmtree, home, ignore_errors=True)
    return home


def _without_traceback_if_stopped(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        print("\nStopped before anything was started.", file=sys.stderr)
    else:
        sys.__excepthook__(kind, error, trace)
