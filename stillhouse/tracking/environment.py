"""Environment variables for a block of code."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

# By default MLflow tries to reach a server for several minutes.
SHORT_TIMEOUTS = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1", "MLFLOW_HTTP_REQUEST_TIMEOUT": "10"}


@contextmanager
def environment(values: dict[str, str]) -> Iterator[None]:
    """Set environment variables within the block, and restore the previous values at its end."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})
