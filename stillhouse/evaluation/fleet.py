"""The fleet's report: accuracy, latency and size of each device's student, with the teacher and the SVM."""

import json
from dataclasses import dataclass, fields
from pathlib import Path

from stillhouse.evaluation.plots import frontier
from stillhouse.evaluation.report import render
from stillhouse.evaluation.results import Model, metric_table, quality_of
from stillhouse.evaluation.speed import Speed
from stillhouse.evaluation.steps import Row
from stillhouse.params import Device


@dataclass(frozen=True)
class Member:
    """A device's limits (``budget``), its student's numbers, the gate's verdict and the steps of the compression."""

    budget: Device
    model: Model
    version: int
    passed: bool
    reasons: list[str]
    steps: list[Row]


def read_member(budget: Device, metrics: Path, speed: Path, steps: list[Row]) -> Member:
    """Read one device's student from the metrics and timings of the stage ``deploy`` and its compression steps."""
    numbers, timed = (json.loads(file.read_text(encoding="utf-8")) for file in (metrics, speed))
    speed_of = Speed(**{field.name: timed[field.name] for field in fields(Speed)})
    model = Model.of(quality_of(numbers), speed_of)
    return Member(budget, model, numbers["version"], bool(numbers["passed"]), timed["reasons"], steps)


def fleet_table(fleet: dict[str, Member]) -> list[list[str]]:
    """The devices as rows of text, the heading first."""
    table = metric_table(any(member.model.of_teacher for member in fleet.values()))
    metrics = [table[name] for name in ("accuracy", "megabytes", "latency_ms")]
    rows = [["device", *(metric.title for metric in metrics), "threads", "version", "gate"]]
    for name, member in fleet.items():
        gate = "passed" if member.passed else "FAILED"
        version, threads = str(member.version), str(member.budget.threads)
        rows.append([name, *(metric.cell(member.model) for metric in metrics), threads, version, gate])
    return rows


def write_fleet(folder: Path, name: str, fleet: dict[str, Member], others: dict[str, Model]) -> list[Path]:
    """Write ``report.html`` and ``frontier.png`` into ``folder``.

    Args:
        folder: created if it does not exist.
        name: of the registered model.
        fleet: the devices, by name.
        others: the numbers of the teacher and of further models, by name.

    Returns:
        The report and the picture.
    """
    folder.mkdir(parents=True, exist_ok=True)
    picture, report = folder / "frontier.png", folder / "report.html"
    shown = others | {device: member.model for device, member in fleet.items()}
    frontier(shown, picture, "latency_ms", "milliseconds for one text, tokenizing included (log scale)")
    render("fleet.html.jinja", report, name=name, fleet=fleet, others=others, frontier=picture)
    return [report, picture]
