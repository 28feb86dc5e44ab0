"""The steps of the compression as rows of a report."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stillhouse.provenance import folder_md5


@dataclass(frozen=True)
class Row:
    """One step.

    ``accuracy`` is None without labelled texts, ``docs_per_s`` where it was not measured on this machine.
    """

    name: str
    megabytes: float
    accuracy: float | None
    agreement: float
    largest_difference: float
    docs_per_s: float | None
    refused: bool


def step_rows(folder: Path) -> list[Row]:
    """What a stage that compresses left in ``folder``: numbers that DVC keeps, and timings that it does not.

    The timings count where they are of this very model; DVC may have brought back another one.
    """
    steps = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))["steps"]
    timed: dict[str, Any] = {}
    if (folder / "speed.json").exists():
        timed = json.loads((folder / "speed.json").read_text(encoding="utf-8"))
    speed = timed["docs_per_s"] if timed.get("model_md5") == folder_md5(folder / "model") else {}
    return [
        Row(
            name,
            told["bytes"] / 1e6,
            told.get("accuracy"),
            told["agreement"],
            told["largest_difference"],
            speed.get(name),
            bool(told["refused"]),
        )
        for name, told in steps.items()
    ]
