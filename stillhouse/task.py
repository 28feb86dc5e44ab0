"""The task type: what a label is. Only this module turns scores into a class.

``SingleLabel`` is text classification in which each text has exactly one class. Served models use this module too, so
it imports NumPy alone; the losses import PyTorch when they are called.
"""

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch


class SingleLabel:
    """Each text has exactly one of the classes."""

    name = "single_label"

    def probabilities(self, logits: np.ndarray) -> np.ndarray:
        """Softmax over the last axis; the same shape as ``logits``."""
        exponents: np.ndarray = np.exp(logits - logits.max(-1, keepdims=True))
        exponents /= exponents.sum(-1, keepdims=True)
        return exponents

    def decision(self, scores: np.ndarray) -> np.ndarray:
        """The number of each text's class, ``(texts,)``, from probabilities or logits ``(texts, classes)``."""
        chosen: np.ndarray = scores.argmax(-1)
        return chosen

    def confidence(self, probabilities: np.ndarray) -> np.ndarray:
        """The probability of the chosen class, ``(texts,)``."""
        highest: np.ndarray = probabilities.max(-1)
        return highest

    def hard_loss(self, logits: "torch.Tensor", labels: "torch.Tensor") -> "torch.Tensor":
        """Cross-entropy of each text, ``(texts,)``; 0 where the label is -1 (unknown)."""
        from torch.nn import functional

        return functional.cross_entropy(logits, labels, ignore_index=-1, reduction="none")


TASK = SingleLabel()
