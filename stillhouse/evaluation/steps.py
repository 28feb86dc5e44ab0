"""The steps of the compression as rows of the report."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stillhouse.provenance import folder_md5


@dataclass(frozen=True)
class Row:
    """One step.

    ``accuracy`` is None without labelled texts. ``docs_per_s`` is None if it was not measured on this machine.
    """

    name: str
    megabytes: float
    accuracy: float | None
    agreement: float
    largest_difference: float
    docs_per_s: float | None
    refused: bool


def step_rows(metrics: Path, speed: Path, model: Path) -> list[Row]:
    """The steps of a stage that compresses a student.

    Args:
        metrics: the stage's ``metrics.json``.
        speed: the stage's ``speed.json``. It is used only if it belongs to ``model``: DVC does not store it and may
            have restored another model.
        model: the folder of the compressed student.
    """
    steps = json.loads(metrics.read_text(encoding="utf-8"))["steps"]
    timed: dict[str, Any] = json.loads(speed.read_text(encoding="utf-8")) if speed.exists() else {}
    docs_per_s = timed["docs_per_s"] if timed.get("model_md5") == folder_md5(model) else {}
    return [
        Row(
            name,
            numbers["bytes"] / 1e6,
            numbers.get("accuracy"),
            numbers["agreement"],
            numbers["largest_difference"],
            docs_per_s.get(name),
            bool(numbers["refused"]),
        )
        for name, numbers in steps.items()
    ]
