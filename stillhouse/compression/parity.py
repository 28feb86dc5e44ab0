"""Comparison of a compressed student with the trained one: agreement, accuracy and speed."""

import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from datasets import Dataset

from stillhouse.data.encoded import encode_texts
from stillhouse.data.splits import labels_of
from stillhouse.models.students.student import Student, predict_logits
from stillhouse.serving.classifier import Classifier
from stillhouse.task import TASK

AGREEMENT_TEXTS = 200  # minimum of texts for measuring the agreement, if there are so many


@dataclass(frozen=True)
class Reference:
    """The trained student's probabilities for the texts of some splits.

    Attributes:
        splits: the texts; only the first split has labels.
        labels: class numbers of the texts of the first split, ``(labelled texts,)``.
        probabilities: the trained student's, ``(texts, classes)``, in the order of the splits.
    """

    splits: list[Dataset]
    labels: np.ndarray
    probabilities: np.ndarray

    @classmethod
    def of(cls, student: Student, validation: Dataset, *others: Dataset) -> "Reference":
        """Predict with the trained ``student``.

        If ``validation`` has fewer than 200 texts, texts of the ``others`` are added for measuring the agreement.
        """
        splits, missing = [validation], AGREEMENT_TEXTS - len(validation)
        for other in others:
            if count := min(max(missing, 0), len(other)):
                splits.append(other.select(range(count)))
                missing -= count
        with tempfile.TemporaryDirectory() as scratch:
            encoded = encode_texts(splits, student.tokenizer, student.settings.reads, Path(scratch) / "ids")
            logits = predict_logits(student.network, encoded, torch.device("cpu"))
        return cls(splits, labels_of(validation), TASK.probabilities(logits))

    def compare(self, model: Path) -> tuple[dict[str, float], float]:
        """Predict with the compressed student in the folder ``model``.

        Returns:
            The numbers ``bytes``, ``agreement`` (share of decisions equal to the trained student's),
            ``largest_difference`` (of any probability), and ``accuracy`` if there are labelled texts; and the speed in
            texts per second.
        """
        classifier = Classifier.load(model)
        start = time.perf_counter()
        batches = [classifier.predict_proba(batch["text"]) for split in self.splits for batch in split.iter(1000)]
        probabilities = np.concatenate(batches)
        speed = len(probabilities) / (time.perf_counter() - start)
        decisions = TASK.decision(probabilities)
        numbers = {
            "bytes": sum(file.stat().st_size for file in model.iterdir()),
            "agreement": TASK.agreement(TASK.decision(self.probabilities), decisions),
            "largest_difference": float(np.abs(self.probabilities - probabilities).max()),
        }
        if len(self.labels):
            numbers["accuracy"] = TASK.accuracy(self.labels, decisions[: len(self.labels)])
        return numbers, speed
