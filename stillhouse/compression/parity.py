"""Whether the compressed student still answers as the trained one."""

import tempfile
from pathlib import Path

import numpy as np
import torch

from stillhouse.classifier import Classifier
from stillhouse.data.encoded import encode_texts
from stillhouse.data.splits import read_split
from stillhouse.errors import StillhouseError
from stillhouse.evaluation.metrics import agreement, softmax
from stillhouse.models.students.student import Student, predict_logits


def check_parity(student: Student, model: Path, split: Path, least: float) -> dict[str, float]:
    """Compare the compressed ``model`` with ``student`` on the texts of ``split``, text in, probabilities out.

    Returns:
        ``agreement`` (share of equal answers) and ``largest_difference`` (of any probability).

    Raises:
        StillhouseError: the agreement is below ``least``.
    """
    dataset = read_split(split)
    with tempfile.TemporaryDirectory() as scratch:
        encoded = encode_texts([dataset], student.tokenizer, student.settings.max_length, Path(scratch) / "ids")
        trained = softmax(predict_logits(student.network, encoded, torch.device("cpu")))
    classifier = Classifier.load(model)
    compressed = np.concatenate([classifier.predict_proba(batch["text"]) for batch in dataset.iter(1000)])
    same = agreement(trained.argmax(1), compressed.argmax(1))
    difference = float(np.abs(trained - compressed).max())
    if same < least:
        raise StillhouseError(
            f"The compressed student answers as the trained one on only {same:.1%} of {len(dataset)} validation texts; "
            f"compress.parity asks for {least:.1%} (largest difference of a probability: {difference:.3f}). Set "
            "compress.quantisation: none, or lower compress.parity."
        )
    return {"agreement": same, "largest_difference": difference}
