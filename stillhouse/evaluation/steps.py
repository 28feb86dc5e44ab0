"""The steps of the compression as rows of a report."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Row:
    """One step; ``docs_per_s`` is None where it was not measured on this machine."""

    name: str
    megabytes: float
    accuracy: float
    agreement: float
    largest_difference: float
    docs_per_s: float | None
    refused: bool


def step_rows(steps: dict[str, dict[str, Any]], docs_per_s: dict[str, float]) -> list[Row]:
    """From what the compress stage told of each step, on the validation texts."""
    return [
        Row(
            name,
            told["bytes"] / 1e6,
            told["accuracy"],
            told["agreement"],
            told["largest_difference"],
            docs_per_s.get(name),
            bool(told["refused"]),
        )
        for name, told in steps.items()
    ]
