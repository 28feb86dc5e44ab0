"""Texts as a student learns from them: token ids, labels, and what the teacher answered."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from stillhouse.data.encoded import Encoded
from stillhouse.distillation.objective import Batch


@dataclass(frozen=True)
class Examples:
    """Texts as token ids with their labels (-1 for none), and the teacher's answers (see :class:`Batch`).

    ``stored`` (texts,) says in which row of the answers those to a text are.
    """

    encoded: Encoded
    labels: np.ndarray
    logits: np.ndarray | None = None
    features: np.ndarray | None = None
    relations: np.ndarray | None = None
    stored: np.ndarray | None = None

    def batch(self, rows: np.ndarray, device: torch.device, needs: frozenset[str] = frozenset()) -> Batch:
        """The texts at ``rows``, with the signals that are needed."""
        signals: dict[str, Tensor] = {}
        for name in needs:
            answers = getattr(self, name)
            assert answers is not None and self.stored is not None, f"the objective needs {name}"
            signals[name] = moved(answers[self.stored[rows]].astype(np.float32), device)
        if "relations" in needs:
            signals["words"] = moved(self.encoded.padded_words(rows), device)
        return Batch(moved(self.encoded.padded(rows), device), moved(self.labels[rows], device), **signals)


def moved(array: np.ndarray, device: torch.device) -> Tensor:
    """``array`` on ``device``; a GPU copies it while the CPU goes on."""
    tensor = torch.from_numpy(array)
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor.to(device)
