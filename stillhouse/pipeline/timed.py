"""Check that the files that DVC does not store (timings, the report) exist and belong to the current results."""

import json
from pathlib import Path

from stillhouse.pipeline.artefacts import path
from stillhouse.pipeline.stages import STAGES
from stillhouse.provenance import file_md5


def evaluation_is_timed(project: Path = Path()) -> bool:
    """Whether the report and the timings of the stage ``evaluate`` belong to its metrics."""
    if not all(path(f"evaluate/{name}", project).exists() for name in STAGES["evaluate"].beside):
        return False
    timed = json.loads(path("evaluate/speed.json", project).read_text(encoding="utf-8"))
    return bool(timed["metrics_md5"] == file_md5(path("evaluate/metrics.json", project)))


def deployment_is_timed(device: str) -> bool:
    """Whether the timings of the stage ``deploy`` for ``device`` belong to the model that its receipt names."""
    timings, receipt = (path(f"deploy/{name}", device=device) for name in ("speed.json", "receipt.json"))
    if not timings.exists():
        return False
    timed, registered = (json.loads(file.read_text(encoding="utf-8")) for file in (timings, receipt))
    return bool(timed.get("digest") == registered.get("digest"))
