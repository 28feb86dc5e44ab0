"""The description of a metric: title, format and direction.

A metric is a field of :class:`~.quality.Quality` or :class:`~.speed.Speed`, annotated with a :class:`Metric`.
``METRIC_TABLE`` in ``results.py`` has all of them. The report, the console, Prefect's page, MLflow and the benchmarks
take names, titles and formats from that table.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import get_type_hints

MISSING = "–"


def number(value: float) -> str:
    """``value`` with three significant digits, or as a whole number with separated thousands from 100 on."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def percent(value: float) -> str:
    """A share from 0 to 1 in percent with one decimal."""
    return f"{100 * value:.1f} %"


@dataclass(frozen=True)
class Metric:
    """One row of the table of metrics.

    Attributes:
        title: the heading of the metric's column.
        show: formats a value.
        higher_is_better: whether a higher value is better.
        brief: whether the short table (console, Prefect's page) and the flow's MLflow run have it.
        evidence: whether a registered version has it as the tag ``test.<name>``.
        cost: whether it is a size or a speed, which a constant prediction does not have.
        name: of the field; :func:`metrics_of` sets it.
    """

    title: str
    show: Callable[[float], str]
    higher_is_better: bool
    brief: bool = False
    evidence: bool = False
    cost: bool = False
    name: str = ""

    def cell(self, model: object) -> str:
        """The value of ``model`` as text; a dash if it was not measured."""
        value = getattr(model, self.name, None)
        return MISSING if value is None else self.show(value)


def metrics_of(kind: type) -> list[Metric]:
    """The metrics among the fields of the dataclass ``kind``, in order."""
    found = []
    for name, hint in get_type_hints(kind, include_extras=True).items():
        for metric in getattr(hint, "__metadata__", ()):
            if isinstance(metric, Metric):
                found.append(replace(metric, name=name))
    return found
