"""What was measured of the models, and the one way of it to JSON and back."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from stillhouse.evaluation.quality import Quality
from stillhouse.evaluation.significance import Gap
from stillhouse.evaluation.speed import Speed

METRICS, SPEED = "metrics.json", "speed.json"


@dataclass(frozen=True, kw_only=True)
class Model(Quality, Speed):
    """A model's quality and, on one machine, its speed."""

    @classmethod
    def of(cls, quality: Quality, speed: Speed) -> "Model":
        """Both together."""
        return cls(**asdict(quality), **asdict(speed))


def plain(measured: Quality | Speed | Gap) -> dict[str, Any]:
    """For JSON: what was not measured is left out."""
    return {name: value for name, value in asdict(measured).items() if value is not None}


def read_qualities(folder: Path) -> dict[str, Quality]:
    """Of every model, from what ``evaluate`` left in ``folder``."""
    return {name: Quality(**told) for name, told in _read(folder / METRICS)["models"].items()}


def read_gaps(folder: Path) -> dict[str, Gap]:
    """The differences between models, by ``<one> - <other>``."""
    return {name: Gap(**told) for name, told in _read(folder / METRICS)["differences"].items()}


def read_models(folder: Path) -> dict[str, Model]:
    """Quality and speed of every model whose speed was measured: of all but the constant answer."""
    quality = read_qualities(folder)
    return {name: Model.of(quality[name], Speed(**told)) for name, told in _read(folder / SPEED)["models"].items()}


def _read(file: Path) -> Any:
    return json.loads(file.read_text(encoding="utf-8"))
