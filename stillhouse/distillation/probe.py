"""A head that starts where it should be: a linear probe, before fine-tuning moves the encoder."""

import math

import numpy as np
import torch
from datasets import Dataset
from sklearn.linear_model import LogisticRegression

from stillhouse.data.splits import labels_of
from stillhouse.models.encoder import EncoderClassifier
from stillhouse.models.teacher import Teacher

STRENGTHS = (0.001, 0.01, 0.1, 1.0)  # inverse regularisation, tried on validation
MOST_TEXTS = 20_000


def probe_head(teacher: Teacher, train: Dataset, validation: Dataset, batch_size: int, bf16: bool) -> float:
    """Fit the linear layer of an :class:`EncoderClassifier` to the encoder's vectors as they are, in place.

    A. Kumar et al., "Fine-Tuning can Distort Pretrained Features and Underperform Out-of-Distribution", ICLR
    2022: a random head's first gradients damage the encoder; a fitted one's do not. It costs one forward pass
    (over 20,000 texts at most).

    Returns:
        The probe's accuracy on validation, 0 to 1.
    """
    model = teacher.model
    assert isinstance(model, EncoderClassifier)
    texts = train.select(range(0, len(train), math.ceil(len(train) / MOST_TEXTS)))
    vectors = {name: _vectors(teacher, split, batch_size, bf16) for name, split in (("t", texts), ("v", validation))}
    mean, spread = vectors["t"].mean(0), vectors["t"].std(0) + 1e-6
    scaled = {name: (part - mean) / spread for name, part in vectors.items()}
    best, score = None, -1.0
    for strength in STRENGTHS:
        probe = LogisticRegression(C=strength, max_iter=2000).fit(scaled["t"], labels_of(texts))
        if (right := probe.score(scaled["v"], labels_of(validation))) > score:
            best, score = probe, float(right)
    assert best is not None
    weight, bias = _all_classes(best, model.config.num_labels)
    with torch.no_grad():  # the scaling becomes part of the layer
        model.classifier.weight.copy_(torch.from_numpy(weight / spread))
        model.classifier.bias.copy_(torch.from_numpy(bias - weight @ (mean / spread)))
    return score


def _vectors(teacher: Teacher, dataset: Dataset, batch_size: int, bf16: bool) -> np.ndarray:
    """What the linear layer reads: float32 of shape (texts, hidden)."""
    model = teacher.model
    assert isinstance(model, EncoderClassifier)
    head, model.classifier = model.classifier, torch.nn.Identity()  # type: ignore[assignment]
    try:
        parts = [teacher.logits(batch["text"], batch_size, bf16) for batch in dataset.iter(batch_size * 64)]
    finally:
        model.classifier = head
    return np.concatenate(parts)


def _all_classes(probe: LogisticRegression, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Weights (classes, hidden) and biases (classes,): of two classes scikit-learn keeps one row."""
    weight, bias = probe.coef_.astype(np.float32), probe.intercept_.astype(np.float32)
    if len(probe.classes_) == 2:
        weight, bias = np.concatenate([-weight, weight]) / 2, np.concatenate([-bias, bias]) / 2
    full_weight, full_bias = np.zeros((classes, weight.shape[1]), np.float32), np.full(classes, -10.0, np.float32)
    full_weight[probe.classes_], full_bias[probe.classes_] = weight, bias
    return full_weight, full_bias
