"""Whether a compressed student still answers as the trained one, and how fast."""

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

AGREEMENT_TEXTS = 200  # texts that an agreement is measured on at least, where there are so many


@dataclass(frozen=True)
class Reference:
    """What the trained student answers to the texts of some splits, and what is right for those of the first."""

    splits: list[Dataset]
    labels: np.ndarray
    probabilities: np.ndarray

    @classmethod
    def of(cls, student: Student, validation: Dataset, *others: Dataset) -> "Reference":
        """Ask the trained ``student``; where validation is small, texts of the ``others`` join for the agreement."""
        splits, missing = [validation], AGREEMENT_TEXTS - len(validation)
        for other in others:
            if taken := min(max(missing, 0), len(other)):
                splits.append(other.select(range(taken)))
                missing -= taken
        with tempfile.TemporaryDirectory() as scratch:
            encoded = encode_texts(splits, student.tokenizer, student.settings.reads, Path(scratch) / "ids")
            logits = predict_logits(student.network, encoded, torch.device("cpu"))
        return cls(splits, labels_of(validation), TASK.probabilities(logits))

    def compare(self, model: Path) -> tuple[dict[str, float], float]:
        """Ask the folder ``model``, text in, probabilities out.

        Returns:
            ``bytes``, ``agreement`` (share of answers equal to the trained student's), ``largest_difference`` (of any
            probability), and ``accuracy`` where there are labelled texts; and the texts answered in a second.
        """
        classifier = Classifier.load(model)
        start = time.perf_counter()
        asked = [classifier.predict_proba(batch["text"]) for split in self.splits for batch in split.iter(1000)]
        given = np.concatenate(asked)
        speed = len(given) / (time.perf_counter() - start)
        decisions = TASK.decision(given)
        numbers = {
            "bytes": sum(file.stat().st_size for file in model.iterdir()),
            "agreement": TASK.agreement(TASK.decision(self.probabilities), decisions),
            "largest_difference": float(np.abs(self.probabilities - given).max()),
        }
        if len(self.labels):
            numbers["accuracy"] = TASK.accuracy(self.labels, decisions[: len(self.labels)])
        return numbers, speed
