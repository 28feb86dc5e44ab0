"""Training texts of a student: token ids, labels, and the signals of the teacher."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from stillhouse.data.encoded import Encoded
from stillhouse.distillation.objective import Batch


@dataclass(frozen=True)
class Examples:
    """Texts as token ids, their labels, and the signals of the teacher (see :class:`Batch`).

    Attributes:
        encoded: token ids.
        labels: class numbers (texts,), -1 for none.
        logits: of the teacher.
        features: of the teacher.
        relations: of the teacher.
        signal_rows: for each text its row in ``logits``, ``features`` and ``relations``, (texts,).
    """

    encoded: Encoded
    labels: np.ndarray
    logits: np.ndarray | None = None
    features: np.ndarray | None = None
    relations: np.ndarray | None = None
    signal_rows: np.ndarray | None = None

    def batch(self, rows: np.ndarray, device: torch.device, needs: frozenset[str] = frozenset()) -> Batch:
        """Return the texts at ``rows``, with the signals in ``needs``."""
        signals: dict[str, Tensor] = {}
        for name in needs:
            values = getattr(self, name)
            assert values is not None and self.signal_rows is not None, f"the objective needs {name}"
            signals[name] = to_device(values[self.signal_rows[rows]].astype(np.float32), device)
        if "relations" in needs:
            signals["words"] = to_device(self.encoded.padded_words(rows), device)
        return Batch(to_device(self.encoded.padded(rows), device), to_device(self.labels[rows], device), **signals)


def to_device(array: np.ndarray, device: torch.device) -> Tensor:
    """Copy ``array`` to ``device``. The CPU does not wait for the copy to a GPU."""
    tensor = torch.from_numpy(array)
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor.to(device)
