"""The confusion matrix as a picture, readable with many classes, long names and any script."""

import unicodedata
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.font_manager import FontProperties, findfont, get_font

from stillhouse.evaluation.plots import save
from stillhouse.task import TASK

SHOWN = 30  # maximum of classes in the picture
LONGEST = 28  # maximum of characters of a name


def confusion(labels: np.ndarray, answers: np.ndarray, names: list[str], file: Path, rows: str = "label") -> bool:
    """Draw the number of test texts with each label (row) and prediction (column).

    If there are more than 30 classes, the 30 with the most mistakes (missed or predicted wrongly) are drawn. Class
    numbers from 1 on, as in the report's table and the rows of ``classes.csv``, replace the names if

    - the picture's font lacks a letter of a name,
    - a name is written from right to left, which matplotlib would reverse, or
    - two names are the same after they are cut to 28 characters.

    Args:
        labels: class numbers of the test texts, ``(texts,)``.
        answers: predicted class numbers, ``(texts,)``.
        names: of all classes, by number.
        file: the PNG file to write.
        rows: the title of the rows.

    Returns:
        Whether the picture shows numbers instead of names.
    """
    counts = TASK.confusion(labels, answers, len(names))
    chosen = most_confused(counts, SHOWN)
    titles = [_short(names[number]) for number in chosen]
    numbered = len(set(titles)) < len(titles) or not all(map(_drawable, titles))
    if numbered:
        titles = [str(number + 1) for number in chosen]
    totals, shown = counts.sum(1)[chosen, None], counts[np.ix_(chosen, chosen)]
    size = min(3 + 0.45 * len(chosen), 14)
    figure, axes = plt.subplots(figsize=(size + 1, size), layout="constrained")
    axes.imshow(shown / np.maximum(totals, 1), cmap="Blues", vmin=0, vmax=1)
    for row, column in np.ndindex(shown.shape):
        colour = "white" if shown[row, column] > totals[row, 0] / 2 else "#444444"
        axes.text(column, row, shown[row, column] or "", ha="center", va="center", color=colour, fontsize=9)
    turned = {} if numbered else {"rotation": 45, "ha": "right"}
    axes.set_xticks(range(len(chosen)), titles, parse_math=False, **turned)
    axes.set_yticks(range(len(chosen)), titles, parse_math=False)
    axes.set_xlabel("answer of the compressed student")
    axes.set_ylabel(rows)
    axes.spines[:].set_visible(False)
    if title := _title(len(chosen), len(names), numbered):
        axes.set_title(title, fontsize=10)
    save(figure, file)
    return numbered


def most_confused(counts: np.ndarray, most: int) -> np.ndarray:
    """The numbers, ascending, of the ``most`` classes with the most mistakes; ``counts`` is (labels, predictions)."""
    mistakes = counts.sum(0) + counts.sum(1) - 2 * counts.diagonal()
    return np.sort(np.argsort(-mistakes, kind="stable")[:most])


def _title(shown: int, classes: int, numbered: bool) -> str:
    parts = [f"the {shown} most confused of {classes} classes"] if shown < classes else []
    parts += ["numbers as in the report and classes.csv"] if numbered else []
    return "; ".join(parts)


def _short(name: str) -> str:
    """The name on one line, in Unicode's composed form (which fonts expect), a long one without its middle."""
    name = unicodedata.normalize("NFC", " ".join(name.split()))
    return name if len(name) <= LONGEST else f"{name[: LONGEST - 11].rstrip()}…{name[-10:].lstrip()}"


def _drawable(name: str) -> bool:
    font = get_font(findfont(FontProperties()))
    leftwards = any(unicodedata.bidirectional(letter) in ("R", "AL") for letter in name)
    return bool(name) and not leftwards and all(font.get_char_index(ord(letter)) for letter in name)
