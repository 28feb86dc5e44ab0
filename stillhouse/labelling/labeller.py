"""What labels texts: a file, or a language model."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from stillhouse.labelling.file import matched, read_labels
from stillhouse.labelling.language_model.labelling import check_server, label_texts
from stillhouse.labelling.language_model.outcome import Answers
from stillhouse.params import Label
from stillhouse.project import MODEL_ANSWERS


class Labeller(Protocol):
    """Labels texts.

    Attributes:
        most: the largest number of texts that it may label; None: all, at no cost.
        name: for messages.
        advice: what to do if its labels are wrong.
    """

    most: int | None
    name: str
    advice: str

    def label(self, texts: Sequence[str], examples: Sequence[tuple[str, str]]) -> np.ndarray:
        """Return probabilities, float32 (texts, classes); a row of NaN for a text without a usable answer.

        Args:
            texts: the texts to label.
            examples: texts with their labels, of which the labeller may make use. No text is among ``texts``.
        """


class FileLabels:
    """The labels in a file (:func:`stillhouse.labelling.file.read_labels`)."""

    most: int | None = None
    name = "the file"
    advice = "Check the labels and the text column of label.path"

    def __init__(self, path: Path, text_column: str, label_column: str, classes: Sequence[str]) -> None:
        self._found, self._classes = read_labels(path, text_column, label_column, classes), len(classes)

    def label(self, texts: Sequence[str], examples: Sequence[tuple[str, str]]) -> np.ndarray:
        """Return the labels of the texts that are in the file."""
        return matched(self._found, texts, self._classes)

    def totals(self) -> dict[str, float]:
        """Return no costs."""
        return {}

    def summary(self) -> dict[str, str | float]:
        """Return what the report has about the labels."""
        return {"source": "a file"}


class LanguageModel:
    """A language model (:func:`stillhouse.labelling.language_model.labelling.label_texts`)."""

    def __init__(self, settings: Label, classes: Mapping[str, str | None]) -> None:
        """The server, the prompt and the stored answers are checked here, before anything else takes time.

        Raises:
            BadInput, Unavailable: as :func:`label_texts`.
        """
        self.most: int | None = settings.texts
        self.name = f"the language model {settings.model}"
        self.advice = "Improve the descriptions (data.classes) or the prompt (label.prompt), or take another model"
        self._settings, self._classes = settings, classes
        self.calls: list[Answers] = []
        check_server(classes, settings, MODEL_ANSWERS)

    def label(self, texts: Sequence[str], examples: Sequence[tuple[str, str]]) -> np.ndarray:
        """Return the model's answers. Stored answers are used; new ones are paid for and stored."""
        found = label_texts(texts, self._classes, examples, self._settings, MODEL_ANSWERS)
        self.calls.append(found)
        return found.probabilities

    def totals(self) -> dict[str, float]:
        """Return counts and costs of all calls of :meth:`label`."""
        totals = {"dollars_in_all": max((found.dollars_in_all for found in self.calls), default=0.0)}
        names = ("cached", "paid", "unusable", "failed", "left", "cut", "calls", "prompt_tokens", "completion_tokens")
        return totals | {name: sum(getattr(found, name) for found in self.calls) for name in (*names, "dollars")}

    def summary(self) -> dict[str, str | float]:
        """Return what the report has about the labels. It depends on the stored answers alone."""
        kind = next((found.kind for found in self.calls if found.kind), None)
        price = sum(found.price for found in self.calls)
        return {"source": "a language model", "model": str(self._settings.model), "kind": kind or "", "dollars": price}
