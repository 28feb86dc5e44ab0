"""The table of metrics, and reading and writing the measured numbers of the models as JSON."""

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
        """Combine a model's quality and speed."""
        return cls(**asdict(quality), **asdict(speed))


def as_dict(measured: Quality | Speed | Gap) -> dict[str, Any]:
    """The fields by name, for JSON, without those that were not measured."""
    return {name: value for name, value in asdict(measured).items() if value is not None}


def brief(model: Quality) -> dict[str, float]:
    """The metrics of the short table by name, for the flow's run in MLflow. Size and speed only of a :class:`Model`."""
    chosen = [one for one in METRIC_TABLE.values() if one.brief and (isinstance(model, Model) or not one.cost)]
    return {metric.name: getattr(model, metric.name) for metric in chosen}


def read_qualities(metrics: Path) -> dict[str, Quality]:
    """Read the quality of every model from the metrics of the stage ``evaluate``."""
    return {name: Quality(**numbers) for name, numbers in _read(metrics)["models"].items()}


def read_gaps(metrics: Path) -> dict[str, Gap]:
    """Read the differences between models, by ``<one> - <other>``, from the metrics of the stage ``evaluate``."""
    return {name: Gap(**numbers) for name, numbers in _read(metrics)["differences"].items()}


def read_models(metrics: Path, speed: Path) -> dict[str, Model]:
    """Read quality and speed of every model but the constant prediction, which has no speed."""
    quality = read_qualities(metrics)
    return {name: Model.of(quality[name], Speed(**numbers)) for name, numbers in _read(speed)["models"].items()}


def _read(file: Path) -> Any:
    return json.loads(file.read_text(encoding="utf-8"))
