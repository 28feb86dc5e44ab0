"""Writes ``RESULTS.md`` from the measured cases: tables, paired differences, and targets met or missed."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.machine_tables import RESAMPLES, SEED, machine_tables
from benchmarks.packing import unpack
from benchmarks.sure import sureness_section
from stillhouse.evaluation.comparison import Arm, compare, tables
from stillhouse.evaluation.display import number
from stillhouse.evaluation.report import as_markdown
from stillhouse.evaluation.results import METRIC_TABLE
from stillhouse.task import TASK

STUDENT, SVM, SETFIT = "compressed student", "TF-IDF + SVM", "SetFit"
LEAST = {  # target accuracy in %
    **{"bbc-names": 94.0, "bbc-described": 94.0, "20ng-described": 62.0},
    **{"bbc-16": 95.0, "r8-16": 95.5, "r52-16": 92.5, "20ng-16": 75.0},
    **{"r8": 97.6, "r52": 95.0, "20ng": 86.0},
}
# https://github.com/ZeroRin/BertGCN (Lin et al. 2021, arXiv:2105.05727) and Galke and Scherp 2022
# (aclanthology.org/2022.acl-long.279): the same published splits, texts with punctuation and case.
LIN, GALKE = "Lin et al. 2021", "Galke and Scherp 2022"
PUBLISHED = {
    "r8": [("BERT base", 97.8, LIN), ("RoBERTa base", 97.8, LIN), ("TextGCN", 97.1, LIN), ("WideMLP", 97.27, GALKE)],
    "r52": [("BertGCN", 96.6, LIN), ("WideMLP", 93.98, GALKE)],
    "20ng": [("BERT base", 85.3, LIN), ("RoBERTa base", 83.8, LIN), ("TextGCN", 86.3, LIN), ("WideMLP", 83.31, GALKE)],
}
SOURCES = (
    "Lin et al. 2021: BertGCN, [arXiv:2105.05727](https://arxiv.org/abs/2105.05727), table of "
    "[its repository](https://github.com/ZeroRin/BertGCN). Galke and Scherp 2022: "
    "[Bag-of-Words vs. Graph vs. Sequence](https://aclanthology.org/2022.acl-long.279)."
)


def write_results(folder: Path, file: Path) -> None:
    """Write ``file`` from every ``<case>.json`` in ``folder``, and the notes beside it."""
    measured = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in folder.glob("*.json")}
    none = {name: result for name, result in sorted(measured.items()) if result["few"] == 0}
    few = {name: result for name, result in sorted(measured.items()) if result["few"]}
    full = {name: result for name, result in sorted(measured.items()) if result["few"] is None}
    parts = ["# Results", "Written by `make bench` (`python -m benchmarks.run`); do not edit. What was tried and "]
    parts[-1] += "did not help, and what is missing, stands at the end and comes from `benchmarks/NOTES.md`."
    groups = (("No labels, descriptions of the classes", none), ("Few labels, much text without", few))
    for title, cases in (*groups, ("All labels", full)):
        if cases:
            parts += [f"## {title}", "Accuracy in %, mean over seeds (and draws, where labels are few)."]
            parts += [as_markdown(_summary(list(cases.values())))]
            for name, result in cases.items():
                parts += _case(name, result)
    parts += sureness_section(folder)
    parts += [*machine_tables(folder / "machine"), "## Published figures", SOURCES]
    parts += [(file.parent / "NOTES.md").read_text(encoding="utf-8").strip()]
    file.write_text("\n\n".join(parts) + "\n", encoding="utf-8")


def _names(runs: list[dict[str, Any]]) -> list[str]:
    """The names of all models. A slow peer is not in every run."""
    return list(dict.fromkeys(name for run in runs for name in run["models"]))


def _summary(results: list[dict[str, Any]]) -> list[list[str]]:
    names = list(dict.fromkeys(name for result in results for name in _names(result["runs"])))
    rows = [["corpus", *names]]
    for result in results:
        cells = [[run["models"][name]["accuracy"] for run in result["runs"] if name in run["models"]] for name in names]
        rows.append([result["corpus"], *(f"{100 * np.mean(cell):.2f}" if cell else "" for cell in cells)])
    return rows


def _case(name: str, result: dict[str, Any]) -> list[str]:
    labels, runs = unpack(result["labels"]), result["runs"]
    shown = ("accuracy", "macro_f1", "teacher_agreement", "megabytes", "docs_per_s", "latency_ms")
    rows = [["model", *(METRIC_TABLE[name].title for name in shown)]]
    for model in _names(runs):
        numbers = [run["models"][model] for run in runs if model in run["models"]]
        accuracies = 100 * np.array([one["accuracy"] for one in numbers])
        spread = f" ± {accuracies.std(ddof=1):.2f}" if len(numbers) > 1 and np.ptp(accuracies) else ""
        latency = [one["latency_ms"] for one in numbers if "latency_ms" in one]
        rows.append(
            [
                model + _suffix([f"seed {runs[0]['seed']} alone"] * (len(numbers) < len(runs)) + _machines(numbers)),
                f"{accuracies.mean():.2f}{spread}",
                f"{100 * np.mean([one['macro_f1'] for one in numbers]):.2f}",
                f"{100 * np.mean([one['teacher_agreement'] for one in numbers]):.1f} %",
                number(float(numbers[-1]["megabytes"])),
                number(float(np.median([one["docs_per_s"] for one in numbers]))),
                number(float(np.median(latency))) if latency else "",
            ]
        )
    if not result["few"]:
        published = PUBLISHED.get(name, [])
        rows += [[f"{model} ({source})", f"{value}", "", "", "", "", ""] for model, value, source in published]
    gaps = {other: _gap(runs, labels, other) for other in _names(runs) if other != STUDENT}
    seeds = ", ".join(map(str, result["seeds"]))
    minutes = sum(run["seconds"] for run in runs) / 60
    what = (
        "draws of the labels, and seeds of everything learnt"
        if result["few"]
        else "seeds of control, student and peers"
    )
    return [
        f"### {result['corpus']}",
        f"{len(labels)} test texts; {what}: {seeds}; {result['machine']}; "
        f"`{result['command']}`, {minutes:.0f} min of stages that had to be run.",
        as_markdown(rows),
        as_markdown(
            [["compressed student against", "points", "95 % interval", "each seed"]]
            + [[other, *row] for other, gap in gaps.items() for row in [tables(gap)[1][1][1:]]]
        ),
        _targets(name, result, {other: next(iter(gap["differences"].values())) for other, gap in gaps.items()}),
    ]


def _machines(numbers: list[dict[str, Any]]) -> list[str]:
    return sorted({f"on {one['machine']}" for one in numbers if "machine" in one})


def _suffix(parts: list[str]) -> str:
    return f" ({'; '.join(parts)})" if parts else ""


def _gap(runs: list[dict[str, Any]], labels: np.ndarray, other: str) -> dict[str, Any]:
    """The comparison of the compressed student with another model, over the runs that have both."""
    arms = []
    for model in (STUDENT, other):
        answers = [unpack(run["models"][model]["answers"]) for run in runs if other in run["models"]]
        arms.append(Arm(model, np.array([TASK.correct(labels, one) for one in answers], dtype=float)))
    return compare(arms, [(STUDENT, other)], other, RESAMPLES, SEED)


def _targets(name: str, result: dict[str, Any], gaps: dict[str, dict[str, Any]]) -> str:
    runs = result["runs"]
    mean = 100 * float(np.mean([run["models"][STUDENT]["accuracy"] for run in runs]))
    points = {other: 100 * gap["accuracy"] for other, gap in gaps.items()}
    lines = []
    if result["few"]:
        low = 100 * gaps[SVM]["low"]
        lines.append(_line(f"above {SVM}, interval without 0", low, f"{points[SVM]:+.2f}, at least {low:+.2f}"))
        lines.append(_line("at most 0.5 below the teacher", points["teacher"] + 0.5, f"{points['teacher']:+.2f}"))
        if SETFIT in points:
            lines.append(_line(f"at most 0.5 below {SETFIT}", points[SETFIT] + 0.5, f"{points[SETFIT]:+.2f}"))
            speeds = [
                [run["models"][one]["docs_per_s"] for run in runs if one in run["models"]] for one in (STUDENT, SETFIT)
            ]
            times = float(np.median(speeds[0]) / np.median(speeds[1]))
            lines.append(_line(f"20 times the docs/s of {SETFIT}", times - 20, f"{times:.0f} times"))
    else:
        lines.append(_line("at most 0.2 below the control", points["control"] + 0.2, f"{points['control']:+.2f}"))
        lines.append(_line(f"at most 0.2 below {SVM}", points[SVM] + 0.2, f"{points[SVM]:+.2f}"))
        if bert := {model: value for model, value, _ in PUBLISHED.get(name, [])}.get("BERT base"):
            teacher = mean - points["teacher"]
            lines.append(_line(f"teacher within a point of BERT ({bert})", teacher - bert + 1, f"{teacher:.2f}"))
    if least := LEAST.get(name):
        lines.append(_line(f"at least {least} %", mean - least, f"{mean:.2f}"))
    return "\n".join(lines)


def _line(target: str, margin: float, measured: str) -> str:
    return f"- {'met' if margin >= 0 else f'**missed by {-margin:.2f}**'}: {target} ({measured})"
