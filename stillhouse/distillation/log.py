"""The interface that records the metrics of a training. ``tracking.runs.Run`` implements it."""

from typing import Any, Protocol


class Log(Protocol):
    """Records the metrics of a running training."""

    def metrics(self, values: dict[str, Any], step: int | None = None) -> None:
        """Record metrics of one epoch or step."""

    def series(self, name: str, values: list[float], first_step: int) -> None:
        """Record one value for each step, from ``first_step`` on."""


class NamedLog:
    """Puts a name before those of all metrics, where several students are trained in one run."""

    def __init__(self, log: Log, name: str) -> None:
        self._log, self._name = log, name

    def metrics(self, values: dict[str, Any], step: int | None = None) -> None:
        """See :meth:`Log.metrics`."""
        self._log.metrics({f"{self._name}_{key}": value for key, value in values.items()}, step)

    def series(self, name: str, values: list[float], first_step: int) -> None:
        """See :meth:`Log.series`."""
        self._log.series(f"{self._name}_{name}", values, first_step)


class NoLog:
    """Discards metrics, for students beside the recorded one, whose metrics would mix with its own."""

    def metrics(self, values: dict[str, Any], step: int | None = None) -> None:
        """Do nothing."""

    def series(self, name: str, values: list[float], first_step: int) -> None:
        """Do nothing."""
