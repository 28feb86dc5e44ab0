"""Examples in the memory of the GPU. A batch then needs a few GPU kernels and no copy of texts."""

from dataclasses import dataclass, fields

import numpy as np
import torch
from torch import Tensor

from stillhouse.data.encoded import NO_WORD
from stillhouse.data.vocabulary import PAD_ID
from stillhouse.distillation.examples import Examples, to_device
from stillhouse.distillation.objective import Batch

SHARE = 0.25  # largest share of the GPU's free memory for examples


@dataclass(frozen=True)
class Resident(Examples):
    """As :class:`Examples`, with the same data in ``tensors`` on the device.

    ``ids`` and ``words`` have one more element at the end, so that an index for padding is valid, too. ``offsets`` and
    ``labels`` are as in the parent. ``logits``, ``features`` and ``relations`` are in the order of the texts.
    """

    tensors: dict[str, Tensor] | None = None

    def batch(self, rows: np.ndarray, device: torch.device, needs: frozenset[str] = frozenset()) -> Batch:
        """Return the texts at ``rows``, with the signals in ``needs``. The result equals that of the parent."""
        tensors = self.tensors
        assert tensors is not None
        longest = max(int((self.encoded.offsets[rows + 1] - self.encoded.offsets[rows]).max()), 1)
        index = to_device(rows, device)
        starts = tensors["offsets"][index]
        lengths = tensors["offsets"][index + 1] - starts
        positions = torch.arange(longest, device=device)
        inside = positions < lengths[:, None]
        positions = torch.where(inside, starts[:, None] + positions, 0)
        signals = {name: tensors[name][index].float() for name in needs}
        if "relations" in needs:
            signals["words"] = torch.where(inside, tensors["words"][positions].long(), NO_WORD)
        ids = torch.where(inside, tensors["ids"][positions].long(), PAD_ID)
        return Batch(ids, tensors["labels"][index], **signals)


def resident(examples: Examples, device: torch.device, needs: frozenset[str]) -> Examples:
    """Return ``examples`` on ``device`` with the signals in ``needs``; unchanged if the memory does not suffice."""
    if device.type != "cuda":
        return examples
    encoded = examples.encoded
    arrays = [getattr(examples, name) for name in needs]
    rows = len(examples.labels)
    size = 8 * encoded.ids.size + 16 * rows + sum(array.dtype.itemsize * array[0].size * rows for array in arrays)
    free, _ = torch.cuda.mem_get_info(device)
    return on_device(examples, device, needs) if size < SHARE * free else examples


def on_device(examples: Examples, device: torch.device, needs: frozenset[str]) -> Resident:
    """Return ``examples`` on ``device``, without a check of the memory."""
    encoded = examples.encoded
    arrays = {"ids": _one_more(encoded.ids), "offsets": encoded.offsets, "labels": examples.labels}
    for name in needs:
        values = getattr(examples, name)
        assert values is not None and examples.signal_rows is not None, f"the objective needs {name}"
        arrays[name] = values[examples.signal_rows]
    if "relations" in needs:
        assert encoded.words is not None
        arrays["words"] = _one_more(encoded.words)
    tensors = {name: torch.from_numpy(np.ascontiguousarray(array)).to(device) for name, array in arrays.items()}
    return Resident(**{field.name: getattr(examples, field.name) for field in fields(Examples)}, tensors=tensors)


def _one_more(values: np.ndarray) -> np.ndarray:
    return np.append(values, values.dtype.type(0))
