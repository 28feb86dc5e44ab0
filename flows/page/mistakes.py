"""The test texts that the model answers wrongly, from what the stage ``evaluate`` wrote."""

import csv
import json
from pathlib import Path
from typing import Any

from stillhouse.pipeline.artefacts import path, split
from stillhouse.serving.classifier import Classifier

MOST = 200  # texts that are shown


def has_mistakes(model: Path) -> bool:
    """Whether the current folder is the project of the model in the folder ``model``: its files have equal digests."""
    files = (path("compress/model") / "config.json", path("evaluate/answers.csv"), split("test"))
    return all(file.exists() for file in files) and _digests(model) == _digests(path("compress/model"))


def _digests(model: Path) -> Any:
    return json.loads((model / "config.json").read_text(encoding="utf-8"))["sha256"]


def mistakes(classifier: Classifier) -> dict[str, Any]:
    """Return the number of test texts, of the wrong answers, and the wrong answers, the most confident ones first.

    Where no test text has a label, an answer is wrong if the teacher's is another. The stage's file names the wrong
    answers, so the other texts are not classified again.

    Args:
        classifier: the model, for the probabilities, which the stage does not write.

    Returns:
        ``texts``, ``wrong`` and at most ``MOST`` ``examples``, each with ``text``, ``label``, ``answer`` and
        ``probability``.
    """
    from stillhouse.data.splits import read_split  # importing datasets takes a second

    test, count, wrong = read_split(split("test")), 0, {}  # wrong: the label of each text that has another answer
    with path("evaluate/answers.csv").open(encoding="utf-8", newline="") as file:
        for count, row in enumerate(csv.DictReader(file), start=1):
            if row["label"] != row["answer"] and count <= len(test):
                wrong[count - 1] = row["label"]
    texts = test[list(wrong)]["text"] if wrong else []
    answers = classifier.answer(texts)
    found = zip(texts, wrong.values(), answers.labels, answers.probabilities, strict=True)
    examples = [
        {"text": text, "label": label, "answer": str(answer), "probability": float(probability)}
        for text, label, answer, probability in found
        if answer != label
    ]
    examples.sort(key=lambda example: -example["probability"])
    return {"texts": count, "wrong": len(examples), "examples": examples[:MOST]}
