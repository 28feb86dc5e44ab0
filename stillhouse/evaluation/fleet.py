"""The devices side by side: one accuracy, latency and size frontier with the teacher and the SVM."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stillhouse.evaluation.plots import frontier
from stillhouse.evaluation.report import number, percent, render
from stillhouse.evaluation.steps import Row, step_rows
from stillhouse.params import Device


@dataclass(frozen=True)
class Member:
    """A device, what its student was measured to do there, and the steps that made it small."""

    budget: Device
    numbers: dict[str, Any]
    steps: list[Row]


def read_fleet(outputs: Path, devices: dict[str, Device]) -> dict[str, Member]:
    """What the stages ``device`` and ``deploy`` left for each of ``devices``."""
    fleet = {}
    for name, budget in devices.items():
        folder = outputs / "deploy" / name
        numbers = {**_read(folder / "metrics.json"), **_read(folder / "speed.json"), **_read(folder / "receipt.json")}
        fleet[name] = Member(budget, numbers, step_rows(outputs / "device" / name))
    return fleet


def fleet_table(fleet: dict[str, Member]) -> list[list[str]]:
    """The devices as rows of text, the first the heading."""
    rows = [["device", "accuracy", "size MB", "ms a text", "threads", "version", "gate"]]
    for name, member in fleet.items():
        told = member.numbers
        size, latency = number(told["megabytes"]), number(told["latency_ms"])
        gate = "passed" if told["passed"] else "FAILED"
        version, threads = str(told["version"]), str(member.budget.threads)
        rows.append([name, percent(told["accuracy"]), size, latency, threads, version, gate])
    return rows


def write_fleet(folder: Path, name: str, fleet: dict[str, Member], others: dict[str, dict[str, Any]]) -> list[Path]:
    """Write ``report.html`` and ``frontier.png`` into ``folder``.

    Args:
        folder: made where it does not exist.
        name: of the registered model.
        fleet: the devices.
        others: the numbers of the teacher and others that are shown beside them.
    """
    folder.mkdir(parents=True, exist_ok=True)
    picture, report = folder / "frontier.png", folder / "report.html"
    shown = others | {device: member.numbers for device, member in fleet.items()}
    frontier(shown, picture, "latency_ms", "milliseconds for one text, tokenizing included (log scale)")
    render("fleet.html.jinja", report, name=name, fleet=fleet, others=others, frontier=picture)
    return [report, picture]


def _read(file: Path) -> Any:
    return json.loads(file.read_text(encoding="utf-8"))
