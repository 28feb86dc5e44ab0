"""What labels texts: a file, or a language model."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from stillhouse.labelling.file import matched, read_labels
from stillhouse.labelling.language_model.labelling import Answers, label_texts
from stillhouse.params import Label
from stillhouse.project import MODEL_ANSWERS


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

    def totals(self) -> dict[str, float]:
        """Return no costs."""
        return {}


class LanguageModel:
    """A language model (:func:`stillhouse.labelling.language_model.labelling.label_texts`)."""

    def __init__(self, settings: Label, classes: Mapping[str, str | None]) -> None:
        self.most: int | None = settings.texts
        self._settings, self._classes = settings, classes
        self.calls: list[Answers] = []

    def label(self, texts: Sequence[str], examples: Sequence[tuple[str, str]]) -> np.ndarray:
        """Return the model's answers. Stored answers are used; new ones are paid for and stored."""
        found = label_texts(texts, self._classes, examples, self._settings, MODEL_ANSWERS)
        self.calls.append(found)
        return found.probabilities

    def totals(self) -> dict[str, float]:
        """Return counts and costs of all calls of :meth:`label`."""
        names = ("cached", "paid", "unusable", "failed", "left", "cut", "calls", "prompt_tokens", "completion_tokens")
        return {name: sum(getattr(found, name) for found in self.calls) for name in (*names, "dollars")}
