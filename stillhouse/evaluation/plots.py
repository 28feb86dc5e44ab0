"""The report's pictures."""

from collections.abc import Mapping
from itertools import cycle
from pathlib import Path
from typing import Any, Literal

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

from stillhouse.evaluation.calibration import Reliability
from stillhouse.evaluation.cascade import SHARES, Cascade
from stillhouse.evaluation.reference import measured
from stillhouse.evaluation.results import Model

COLOURS = {
    "teacher": "#7a3b2e",
    "control": "#9a9a9a",
    "student": "#4c7fb0",
    "compressed student": "#1f4e79",
    "compressed student, chosen texts": "#9467bd",
    "TF-IDF + SVM": "#c79a3a",
}
plt.rcParams.update({"font.size": 10, "axes.spines.top": False, "axes.spines.right": False, "svg.hashsalt": "0"})


def frontier(
    models: Mapping[str, Model],
    file: Path,
    cost: Literal["docs_per_s", "latency_ms"] = "docs_per_s",
    label: str = "texts per second, tokenizing included (log scale)",
) -> None:
    """Plot accuracy with its 95 % interval against speed or latency; the area of a point is the model's size."""
    figure, axes = plt.subplots(figsize=(9.0, 4.2), layout="constrained")
    others = cycle(["#2c7a4b", "#7b5ea7", "#d1705b", "#3f8f9b", "#8a7a3d"])
    for name, model in models.items():
        x, y = getattr(model, cost), 100 * model.accuracy
        spread = [[y - 100 * model.accuracy_low], [100 * model.accuracy_high - y]]
        colour = COLOURS.get(name) or next(others)
        axes.errorbar(x, y, yerr=spread, color=colour, alpha=0.5, capsize=3, zorder=1)
        axes.scatter(x, y, s=30 + 12 * model.megabytes, color=colour, alpha=0.85, zorder=2)
        axes.plot([], [], "o", color=colour, label=f"{name}, {model.megabytes:.1f} MB")
    axes.set_xscale("log")
    axes.margins(x=0.15, y=0.1)
    figure.legend(loc="outside right upper", frameon=False)
    axes.set_xlabel(label)
    axes.set_ylabel(f"{measured(any(model.of_teacher for model in models.values()))} on the test set, %")
    axes.grid(alpha=0.25)
    save(figure, file)


def arms(arms: dict[str, dict[str, Any]], differences: dict[str, dict[str, Any]], file: Path) -> None:
    """Plot each arm's accuracy (left: a dot for each seed, a line at the mean) and the differences (right)."""
    height = 1.6 + 0.42 * max(len(arms), len(differences))
    figure, (left, right) = plt.subplots(1, 2, figsize=(11.5, height), layout="constrained")
    for row, arm in enumerate(arms.values()):
        values = 100 * np.array(arm["seeds"])
        left.scatter(values, np.full(len(values), row), s=26, color="#4c7fb0", alpha=0.8, zorder=2)
        left.plot([100 * arm["accuracy"]] * 2, [row - 0.28, row + 0.28], color="#1f4e79", linewidth=2.5, zorder=3)
    left.set_yticks(range(len(arms)), list(arms))
    left.set_xlabel("accuracy on the test set, %\n(a dot a seed, a line at the mean)")
    for row, gap in enumerate(differences.values()):
        middle = 100 * gap["accuracy"]
        spread = [[middle - 100 * gap["low"]], [100 * gap["high"] - middle]]
        right.errorbar(middle, row, xerr=spread, fmt="o", color="#7a3b2e", capsize=4)
    right.axvline(0, color="#999999", linewidth=1)
    right.set_yticks(range(len(differences)), list(differences))
    right.set_xlabel("difference in points,\nwith its 95 % interval")
    for axes in (left, right):
        axes.invert_yaxis()
        axes.grid(alpha=0.25, axis="x")
        axes.margins(y=0.12)
    save(figure, file)


def labels(models: dict[str, dict[str, np.ndarray]], file: Path) -> None:
    """Plot accuracy against labelled texts: a line at the mean of the draws, a band from the lowest to the highest."""
    figure, axes = plt.subplots(figsize=(8.5, 4.6), layout="constrained")
    for name, line in models.items():
        x, colour = line["labels"], COLOURS.get(name, "#2c7a4b")
        axes.plot(x, 100 * line["mean"], "o-", color=colour, label=name, markersize=4)
        axes.fill_between(x, 100 * line["low"], 100 * line["high"], color=colour, alpha=0.15, linewidth=0)
    axes.set_xscale("log")
    axes.set_xticks(x, [f"{value:.0f}" for value in x])
    axes.minorticks_off()
    axes.set_xlabel("labelled texts (log scale)")
    axes.set_ylabel("accuracy on the test set, %")
    axes.legend(frameon=False, loc="lower right")
    axes.grid(alpha=0.25)
    save(figure, file)


def calibration(after: Reliability, before: Reliability | None, file: Path) -> None:
    """Plot the share of right answers against the probability (top), and the number of texts (bottom)."""
    figure, (axes, counts) = plt.subplots(
        2, 1, figsize=(5.6, 5.4), layout="constrained", sharex=True, height_ratios=[3, 1]
    )
    axes.plot([0, 100], [0, 100], color="#999999", linewidth=1, label="calibrated")
    lines = [("as served", after, COLOURS["compressed student"])]
    if before is not None:
        lines.insert(0, ("without the temperature", before, COLOURS["TF-IDF + SVM"]))
    for name, line, colour in lines:
        title = f"{name}, error {100 * line.error:.1f} %"
        axes.plot(100 * line.confidence, 100 * line.accuracy, "o-", color=colour, label=title, markersize=4)
    counts.bar(100 * after.confidence, after.texts, width=4, color=COLOURS["compressed student"])
    axes.set_ylabel("right answers, %")
    axes.legend(frameon=False, loc="upper left")
    counts.set_xlabel("probability of the answer, %")
    counts.set_ylabel("texts")
    for part in (axes, counts):
        part.grid(alpha=0.25)
    save(figure, file)


def cascade(found: Cascade, file: Path) -> None:
    """Plot accuracy against the share of texts that the student does not answer, a line for each other."""
    figure, axes = plt.subplots(figsize=(8.5, 4.6), layout="constrained")
    colours = {"teacher": COLOURS["teacher"], "language model": COLOURS["TF-IDF + SVM"], "people": "#2c7a4b"}
    for name, line in found.curves.items():
        axes.plot(100 * SHARES, 100 * line, color=colours[name], label=f"student + {name}")
    axes.axhline(100 * found.teacher, color=colours["teacher"], linestyle=":", label="teacher alone")
    if found.chosen is not None:
        x, y = 100 * found.deferred, 100 * found.accuracy
        label = f"the student answers {100 - x:.0f} %, the teacher {x:.0f} %: {y:.1f} % right"
        axes.scatter(x, y, s=60, color=COLOURS["compressed student"], zorder=3, label=label)
    axes.set_xlabel("texts that the student passes on to the other, %")
    axes.set_ylabel("right answers on the test set, %")
    figure.legend(frameon=False, loc="outside upper left", ncols=2)
    axes.grid(alpha=0.25)
    save(figure, file)


def save(figure: Any, file: Path) -> None:
    """Write ``figure`` to ``file`` and close it."""
    # Without the software's version and the date, the same numbers give the same file.
    figure.savefig(file, dpi=130, metadata={"Software": None})
    plt.close(figure)
