"""What stages leave beside what DVC keeps, since it is about one machine: is it there, and of these results?"""

import json
from pathlib import Path

from stillhouse.provenance import file_md5

EVALUATED = ("report.html", "speed.json", "frontier.png")


def evaluation_is_timed(folder: Path) -> bool:
    """Whether the report and the timings that ``evaluate`` left in ``folder`` are of its metrics."""
    if not all((folder / name).exists() for name in EVALUATED):
        return False
    timed = json.loads((folder / "speed.json").read_text(encoding="utf-8"))
    return bool(timed["metrics_md5"] == file_md5(folder / "metrics.json"))


def deployment_is_timed(folder: Path) -> bool:
    """Whether the timings that ``deploy`` left in ``folder`` are of the model that its receipt names."""
    if not (folder / "speed.json").exists():
        return False
    timed, receipt = (json.loads((folder / name).read_text("utf-8")) for name in ("speed.json", "receipt.json"))
    return bool(timed.get("digest") == receipt.get("digest"))
