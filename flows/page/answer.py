"""The answer to one text: the class, the probabilities, and the effect of each word."""

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from stillhouse.data.terms import UNITS
from stillhouse.serving.answers import decide
from stillhouse.serving.classifier import Classifier

MOST_WORDS = 200  # words that are left out, each once
SHOWN = 8  # classes, the most probable ones


def answer(classifier: Classifier, text: str) -> dict[str, Any]:
    """Return the student's answer (:func:`timed`), whether it is deferred, and the parts of the text (:func:`parts`).

    Args:
        classifier: the student.
        text: to classify.
    """
    found, probabilities = timed(classifier.predict_proba, text, list(classifier.classes_))
    [deferred] = decide(probabilities, classifier.classes_, classifier.min_confidence).deferred
    return {**found, "deferred": bool(deferred), "parts": parts(classifier, text, found["label"])}


def timed(
    predict: Callable[[Sequence[str]], np.ndarray], text: str, names: Sequence[str]
) -> tuple[dict[str, Any], np.ndarray]:
    """Return a model's answer to one text and its probabilities, ``(1, classes)``.

    Args:
        predict: returns the probabilities of texts, ``(texts, classes)``.
        text: to classify.
        names: of the classes, in the order of the columns.

    Returns:
        ``label``, its ``probability``, the ``seconds`` of ``predict``, and the most probable ``classes``.
    """
    start = time.perf_counter()
    probabilities = predict([text])
    seconds = time.perf_counter() - start
    decided = decide(probabilities, np.array(names, object))
    order = np.argsort(-probabilities[0], kind="stable")[:SHOWN]
    classes = [{"label": str(names[number]), "probability": float(probabilities[0, number])} for number in order]
    label, probability = str(decided.labels[0]), float(decided.probabilities[0])
    return {"label": label, "probability": probability, "seconds": seconds, "classes": classes}, probabilities


def parts(classifier: Classifier, text: str, label: str) -> list[dict[str, Any]]:
    """Split a text into words and what is between them, with the effect of each of the first ``MOST_WORDS`` words.

    The effect of a word is the probability of ``label`` minus that without the word. All texts are one batch.

    Returns:
        In order, for each part its ``text`` and its ``effect``, -1 to 1; None between words and for further words.
    """
    words = list(UNITS.finditer(text))
    tested = words[:MOST_WORDS]
    column = list(classifier.classes_).index(label)
    without = [text[: word.start()] + text[word.end() :] for word in tested]
    probabilities = classifier.predict_proba([text, *without])[:, column]
    found: list[dict[str, Any]] = []
    end = 0
    for word, probability in zip(tested, probabilities[1:], strict=True):
        found.append({"text": text[end : word.start()], "effect": None})
        found.append({"text": word.group(), "effect": float(probabilities[0] - probability)})
        end = word.end()
    return [part for part in [*found, {"text": text[end:], "effect": None}] if part["text"]]
