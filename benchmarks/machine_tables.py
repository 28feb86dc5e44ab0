"""The part of RESULTS.md on labels of a machine."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.packing import unpack
from stillhouse.evaluation.comparison import Arm, compare
from stillhouse.evaluation.report import as_markdown
from stillhouse.task import TASK

MODELS = ("teacher", "compressed student")
RESAMPLES, SEED = 10_000, 0


def machine_tables(folder: Path) -> list[str]:
    """Return the paragraphs of RESULTS.md: for each corpus a table of gains by the share of right labels."""
    files = sorted(folder.glob("*.json"))
    if not files:
        return []
    parts = [
        "## Labels of a machine",
        "A simulated language model labels 500 texts, 50 of which have a known label: one single answer each, wrong at "
        "random. Accuracy in %, mean over draws of 16 labels a class. A gain has a paired 95 % interval over the test "
        "texts. `of the audit`: share of right labels on the texts with a known label. `probe`: the accuracy there of "
        "the co-trained probe, which is free.",
    ]
    for file in files:
        result = json.loads(file.read_text(encoding="utf-8"))
        parts += [f"### {result['corpus']}", _table(result)]
        minutes = sum(run["seconds"] for run in result["runs"]) / 60
        draws = ", ".join(map(str, result["seeds"]))
        parts += [f"Draws {draws}; {result['machine']}; `{result['command']}`, {minutes:.0f} min."]
    return parts


def _table(result: dict[str, Any]) -> str:
    rows = [
        ["right labels", "of the audit", "probe", *(f"{model}{part}" for model in MODELS for part in ("", ": gain"))]
    ]
    for right in dict.fromkeys(run["right"] for run in result["runs"]):
        runs = [run for run in result["runs"] if run["right"] == right]
        row = ["none", "", ""]
        if right is not None:
            mean = {key: 100 * np.mean([run["audit"][key] for run in runs]) for key in ("accuracy", "free")}
            row = [f"{right:.0%}", f"{mean['accuracy']:.1f}", f"{mean['free']:.1f}"]
        for model in MODELS:
            arms = [_arm(result, model, share) for share in (right, None)]
            row += [f"{100 * arms[0].accuracies.mean():.2f}", _gain(*arms) if right else ""]
        rows.append(row)
    return as_markdown(rows)


def _arm(result: dict[str, Any], model: str, right: float | None) -> Arm:
    runs = [run for run in result["runs"] if run["right"] == right]
    correct = [TASK.correct(unpack(run["labels"]), unpack(run["models"][model]["answers"])) for run in runs]
    return Arm(str(right), np.array(correct, dtype=float))


def _gain(one: Arm, other: Arm) -> str:
    gap = compare([one, other], [(one.name, other.name)], other.name, RESAMPLES, SEED)["differences"].popitem()[1]
    shown = "" if gap["low"] <= 0 <= gap["high"] else ", shown"
    draws = ", ".join(f"{100 * value:+.1f}" for value in gap["seeds"])
    return f"{100 * gap['accuracy']:+.2f} ({100 * gap['low']:+.2f} to {100 * gap['high']:+.2f}{shown}; draws {draws})"
