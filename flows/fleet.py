"""The devices' part of the flow ``distillation``: a student for each, registered and judged, and their report."""

import time
from typing import Any

from stillhouse.params import Params
from tasks import deploy, device
from tasks.runner import Outcome, prefect_task
from tasks.stage import OUTPUTS


def run_fleet(
    params: Params, models: dict[str, Any], outcomes: dict[str, Outcome], seconds: dict[str, float]
) -> dict[str, Any]:
    """Make the students of all devices, as many at once as there are places on the GPU, then deploy each alone.

    Nothing else runs while a device's latency is measured. ``models`` has the numbers of those that the devices are
    shown beside; ``outcomes`` and ``seconds`` are added to.
    """
    from stillhouse.evaluation.fleet import fleet_table, read_fleet, write_fleet
    from stillhouse.tracking.registry import is_lost

    names, start = list(params.devices), time.perf_counter()
    made = prefect_task(device.STAGE, params.flow).map(instance=names).result()
    outcomes |= {device.STAGE.of(name).address: outcome for name, outcome in zip(names, made, strict=True)}
    seconds["device"] = time.perf_counter() - start
    start, run = time.perf_counter(), prefect_task(deploy.STAGE, params.flow)
    for name in names:
        outcome = run(force=is_lost(deploy.STAGE.of(name).folder / "receipt.json"), instance=name)
        if not deploy.is_timed(deploy.STAGE.of(name).folder):
            outcome = run(force=True, instance=name)
        outcomes[deploy.STAGE.of(name).address] = outcome
    seconds["deploy"] = time.perf_counter() - start
    fleet = read_fleet(OUTPUTS, params.devices)
    others = {name: models[name] for name in ("teacher", "compressed student", "TF-IDF + SVM")}
    files = write_fleet(OUTPUTS / "fleet", params.register_.name, fleet, others)
    return {"table": fleet_table(fleet), "files": files, "report": str(files[0].resolve())}
