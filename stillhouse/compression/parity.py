"""Whether a compressed student still answers as the trained one, and how fast."""

import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from datasets import Dataset

from stillhouse.classifier import Classifier
from stillhouse.data.encoded import encode_texts
from stillhouse.data.splits import labels_of
from stillhouse.evaluation.metrics import accuracy, agreement, softmax
from stillhouse.models.students.student import Student, predict_logits


@dataclass(frozen=True)
class Reference:
    """What the trained student answers to the texts of a split, and what is right."""

    split: Dataset
    labels: np.ndarray
    probabilities: np.ndarray

    @classmethod
    def of(cls, student: Student, split: Dataset) -> "Reference":
        """Ask the trained ``student``."""
        with tempfile.TemporaryDirectory() as scratch:
            encoded = encode_texts([split], student.tokenizer, student.settings.max_length, Path(scratch) / "ids")
            logits = predict_logits(student.network, encoded, torch.device("cpu"))
        return cls(split, labels_of(split), softmax(logits))

    def compare(self, model: Path) -> tuple[dict[str, float], float]:
        """Ask the folder ``model``, text in, probabilities out.

        Returns:
            ``bytes``, ``accuracy``, ``agreement`` (share of answers equal to the trained student's) and
            ``largest_difference`` (of any probability); and the texts answered in a second.
        """
        classifier = Classifier.load(model)
        start = time.perf_counter()
        asked = [classifier.predict_proba(batch["text"]) for batch in self.split.iter(1000)]
        speed = len(self.split) / (time.perf_counter() - start)
        given = np.concatenate(asked)
        numbers = {
            "bytes": sum(file.stat().st_size for file in model.iterdir()),
            "accuracy": accuracy(self.labels, given.argmax(1)),
            "agreement": agreement(self.probabilities.argmax(1), given.argmax(1)),
            "largest_difference": float(np.abs(self.probabilities - given).max()),
        }
        return numbers, speed
