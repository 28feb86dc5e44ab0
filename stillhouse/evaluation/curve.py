"""Accuracy against the number of labels: the lines of the figure, and the table."""

from typing import Any

import numpy as np

from stillhouse.evaluation.report import as_markdown


def curve(points: list[dict[str, Any]]) -> dict[str, dict[str, np.ndarray]]:
    """The lines of the figure, by model.

    Args:
        points: one for each number of labels, with ``labelled_texts``, and ``models``: the accuracies of every draw by
            model.

    Returns:
        For each model ``labels`` (number of labelled texts), ``mean``, ``low`` and ``high`` (accuracy over the draws),
        each ``(points,)``.
    """
    names = list(points[0]["models"])
    x = np.array([point["labelled_texts"] for point in points])
    result = {}
    for name in names:
        values = [np.array(point["models"][name]) for point in points]
        result[name] = {
            "labels": x,
            "mean": np.array([value.mean() for value in values]),
            "low": np.array([value.min() for value in values]),
            "high": np.array([value.max() for value in values]),
        }
    return result


def markdown_table(result: dict[str, Any]) -> str:
    """The table in Markdown: a row for each number of labels, a column for each model, mean and spread over draws."""
    points = result["points"]
    names = list(points[0]["models"])
    rows = [["labels a class", "labelled texts", *names]]
    for point in points:
        accuracies = [100 * np.array(point["models"][name]) for name in names]
        spreads = [f" ± {one.std(ddof=1):.1f}" if len(one) > 1 else "" for one in accuracies]
        cells = [f"{one.mean():.1f}{spread}" for one, spread in zip(accuracies, spreads, strict=True)]
        rows.append([str(point["labels"]), f"{point['labelled_texts']:.0f}", *cells])
    draws = ", ".join(map(str, result["draws"]))
    head = (
        f"Accuracy in % on {result['texts']} test texts, mean and standard deviation over draws {draws} of the labels."
    )
    return f"{head}\n\n{as_markdown(rows)}"
