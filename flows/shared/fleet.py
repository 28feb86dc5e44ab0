"""The part of the flow ``distillation`` for devices: train and register a student for each, and write a report."""

import time
from dataclasses import dataclass
from pathlib import Path

from flows.shared.stage_task import prefect_task
from stillhouse.evaluation.results import Model
from stillhouse.params import Params
from stillhouse.pipeline.artefacts import path
from stillhouse.pipeline.runner import Outcome
from stillhouse.pipeline.stages import DEVICE_CHAIN
from stillhouse.pipeline.timed import deployment_is_timed
from stillhouse.project import OUTPUTS
from stillhouse.tracking.receipts import is_missing

DEVICE, DEPLOY = DEVICE_CHAIN


@dataclass(frozen=True)
class Fleet:
    """Results of the devices.

    Attributes:
        table: rows of text: the heading, then one row for each device.
        files: files about the devices.
        report: the path of the report, one of the files.
    """

    table: list[list[str]]
    files: list[Path]
    report: str


def run_fleet(
    params: Params, models: dict[str, Model], outcomes: dict[str, Outcome], seconds: dict[str, float]
) -> Fleet:
    """Train the students of all devices in parallel, limited by the GPU slots, then deploy one after the other.

    Nothing else runs while a device's latency is measured.

    Args:
        params: the parameters of the project.
        models: the evaluated models, for comparison in the report.
        outcomes: the outcome of each stage, by its address; this function adds those of the devices.
        seconds: the duration of each stage; this function adds ``device`` and ``deploy``.

    Returns:
        The results of all devices.
    """
    from stillhouse.evaluation.fleet import (  # imports matplotlib, which takes a second
        fleet_table,
        read_member,
        write_fleet,
    )
    from stillhouse.evaluation.steps import step_rows

    names, start = list(params.devices), time.perf_counter()
    made = prefect_task(DEVICE, params).map(instance=names).result()
    outcomes |= {DEVICE.of(name).address: outcome for name, outcome in zip(names, made, strict=True)}
    seconds["device"] = time.perf_counter() - start
    start, run = time.perf_counter(), prefect_task(DEPLOY, params)
    for name in names:
        outcome = run(force=is_missing(path("deploy/receipt.json", device=name), params.model_name), instance=name)
        if not deployment_is_timed(name):  # the timings are missing, or of another model
            outcome = run(force=True, instance=name)
        outcomes[DEPLOY.of(name).address] = outcome
    seconds["deploy"] = time.perf_counter() - start
    fleet = {}
    for name, budget in params.devices.items():
        metrics, speed = (path(f"deploy/{file}", device=name) for file in ("metrics.json", "speed.json"))
        steps = step_rows(*(path(f"device/{file}", device=name) for file in ("metrics.json", "speed.json", "model")))
        fleet[name] = read_member(budget, metrics, speed, steps)
    others = {name: models[name] for name in ("teacher", "compressed student", "TF-IDF + SVM")}
    files = write_fleet(OUTPUTS / "fleet", params.model_name, fleet, others)
    return Fleet(fleet_table(fleet), files, str(files[0].resolve()))
