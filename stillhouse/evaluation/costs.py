"""What a thousand answers cost, and from how many texts on the student pays. The numbers depend on timings."""

from collections.abc import Mapping
from dataclasses import dataclass

from stillhouse.evaluation.cascade import LANGUAGE_MODEL, PEOPLE, TEACHER, Cascade
from stillhouse.params import Costs

ALONE = "student alone"


@dataclass(frozen=True)
class Cost:
    """The cost of one way to answer.

    Attributes:
        name: of those who answer.
        accuracy: on the test texts, 0 to 1; None where it was not measured.
        dollars: for a thousand answers; None if a price is unknown.
        break_even: number of texts from which on a run and this way are cheaper than the second one alone; None if it
            is unknown or never reached.
    """

    name: str
    accuracy: float | None
    dollars: float | None
    break_even: float | None = None


def cost_table(cascade: Cascade, speeds: Mapping[str, float], paid: float, prices: Costs) -> list[Cost]:
    """Return the costs of the student, of each other alone, and of both together at the share that is deferred.

    Args:
        cascade: the measured cascades.
        speeds: texts per second of ``student`` and ``teacher``.
        paid: dollars that a machine's labels for the training cost.
        prices: the section ``costs``.
    """
    own, teacher = (_of_cpu(prices.cpu_hour, speeds[name]) for name in ("student", TEACHER))
    alone = {TEACHER: teacher, LANGUAGE_MODEL: prices.thousand_calls, PEOPLE: prices.thousand_labels}
    hour = prices.cpu_hour if prices.gpu_hour is None else prices.gpu_hour
    run = None if hour is None or prices.run_hours is None else hour * prices.run_hours + paid
    table = [Cost(ALONE, float(cascade.curves[TEACHER][0]), own)]
    for name, curve in cascade.curves.items():
        other = alone[name]
        both = None if own is None or other is None else own + cascade.deferred * other
        saved = None if both is None or other is None else other - both
        even = None if run is None or saved is None or saved <= 0 else 1000 * run / saved
        table.append(Cost(f"student + {name}", cascade.at[name], both, even))
        table.append(Cost(f"{name} alone", float(curve[-1]), other))
    return table


def _of_cpu(hour: float | None, texts_per_s: float) -> float | None:
    """Return dollars for a thousand texts."""
    return None if hour is None else 1000 / texts_per_s / 3600 * hour
