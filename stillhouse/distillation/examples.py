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
            signals[name] = torch.from_numpy(answers[self.stored[rows]].astype(np.float32)).to(device)
        if "relations" in needs:
            signals["words"] = torch.from_numpy(self.encoded.padded_words(rows)).to(device)
        ids = torch.from_numpy(self.encoded.padded(rows)).to(device)
        return Batch(ids, torch.from_numpy(self.labels[rows]).to(device), **signals)
