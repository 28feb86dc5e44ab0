"""What labels texts: a file, or a language model."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from stillhouse.labelling.file import matched, read_labels


class Labeller(Protocol):
    """Labels texts.

    Attributes:
        most: the largest number of texts that it may label; None: all, at no cost.
    """

    most: int | None

    def label(self, texts: Sequence[str], examples: Sequence[tuple[str, str]]) -> np.ndarray:
        """Return probabilities, float32 (texts, classes); a row of NaN for a text without a usable answer.

        Args:
            texts: the texts to label.
            examples: texts with their labels, of which the labeller may make use. No text is among ``texts``.
        """


class FileLabels:
    """The labels in a file (:func:`stillhouse.labelling.file.read_labels`)."""

    most: int | None = None

    def __init__(self, path: Path, text_column: str, label_column: str, classes: Sequence[str]) -> None:
        self._found, self._classes = read_labels(path, text_column, label_column, classes), len(classes)

    def label(self, texts: Sequence[str], examples: Sequence[tuple[str, str]]) -> np.ndarray:
        """Return the labels of the texts that are in the file."""
        return matched(self._found, texts, self._classes)
