"""Where a training's numbers go; ``tracking.runs.Run`` is such a place."""

from typing import Any, Protocol


class Log(Protocol):
    """Told the numbers of a training as it goes on."""

    def metrics(self, values: dict[str, Any], step: int | None = None) -> None:
        """Numbers of one epoch or step."""

    def series(self, name: str, values: list[float], first_step: int) -> None:
        """One number for each of many steps."""


class NoLog:
    """A log that discards what it gets: of students whose numbers would mix with those of the recorded one."""

    def metrics(self, values: dict[str, Any], step: int | None = None) -> None:
        """Nothing."""

    def series(self, name: str, values: list[float], first_step: int) -> None:
        """Nothing."""
