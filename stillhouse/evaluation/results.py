"""The measured numbers of the models: the table of metrics, and how numbers are written to JSON and read."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from stillhouse.evaluation.display import metrics_of
from stillhouse.evaluation.quality import Quality
from stillhouse.evaluation.significance import Gap
from stillhouse.evaluation.speed import Speed

# Every metric by name: quality first, then size and speed.
METRIC_TABLE = {
    metric.name: metric for metric in sorted(metrics_of(Quality) + metrics_of(Speed), key=lambda metric: metric.cost)
}


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


def brief(model: Quality) -> dict[str, float]:
    """The metrics of the short table by name, as the flow's run in MLflow records them; size and speed of a `Model`."""
    chosen = [one for one in METRIC_TABLE.values() if one.brief and (isinstance(model, Model) or not one.cost)]
    return {metric.name: getattr(model, metric.name) for metric in chosen}


def read_qualities(metrics: Path) -> dict[str, Quality]:
    """The quality of every model, from the metrics of the stage ``evaluate``."""
    return {name: Quality(**numbers) for name, numbers in _read(metrics)["models"].items()}


def read_gaps(metrics: Path) -> dict[str, Gap]:
    """The differences between models, by ``<one> - <other>``, from the same file."""
    return {name: Gap(**numbers) for name, numbers in _read(metrics)["differences"].items()}


def read_models(metrics: Path, speed: Path) -> dict[str, Model]:
    """Quality and speed of every model whose speed was measured: all but the constant answer."""
    quality = read_qualities(metrics)
    return {name: Model.of(quality[name], Speed(**numbers)) for name, numbers in _read(speed)["models"].items()}


def _read(file: Path) -> Any:
    return json.loads(file.read_text(encoding="utf-8"))
