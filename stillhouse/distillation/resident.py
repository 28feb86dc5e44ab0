"""Examples that lie on the GPU, so that making a batch costs a few of its kernels and no copy of texts."""

from dataclasses import dataclass, fields

import numpy as np
import torch
from torch import Tensor

from stillhouse.data.encoded import NO_WORD
from stillhouse.data.vocabulary import PAD_ID
from stillhouse.distillation.examples import Examples, moved
from stillhouse.distillation.objective import Batch

SHARE = 0.25  # of the GPU's free memory that examples may take


@dataclass(frozen=True)
class Resident(Examples):
    """As :class:`Examples`; ``tensors`` hold the same on the device.

    ``ids`` and ``words`` end with one more element, so that every place of a batch can be read, padding too;
    ``offsets`` and ``labels`` as in the parent; ``logits``, ``features`` and ``relations`` in the texts' order.
    """

    tensors: dict[str, Tensor] | None = None

    def batch(self, rows: np.ndarray, device: torch.device, needs: frozenset[str] = frozenset()) -> Batch:
        """The texts at ``rows``, with the signals that are needed; equal to the parent's."""
        there = self.tensors
        assert there is not None
        longest = max(int((self.encoded.offsets[rows + 1] - self.encoded.offsets[rows]).max()), 1)
        index = moved(rows, device)
        starts = there["offsets"][index]
        lengths = there["offsets"][index + 1] - starts
        places = torch.arange(longest, device=device)
        inside = places < lengths[:, None]
        places = torch.where(inside, starts[:, None] + places, 0)
        signals = {name: there[name][index].float() for name in needs}
        if "relations" in needs:
            signals["words"] = torch.where(inside, there["words"][places].long(), NO_WORD)
        ids = torch.where(inside, there["ids"][places].long(), PAD_ID)
        return Batch(ids, there["labels"][index], **signals)


def resident(examples: Examples, device: torch.device, needs: frozenset[str]) -> Examples:
    """``examples`` on ``device`` with the signals that are needed, or as they are where there is no room for them."""
    if device.type != "cuda":
        return examples
    encoded = examples.encoded
    arrays = [getattr(examples, name) for name in needs]
    rows = len(examples.labels)
    size = 8 * encoded.ids.size + 16 * rows + sum(array.dtype.itemsize * array[0].size * rows for array in arrays)
    free, _ = torch.cuda.mem_get_info(device)
    return on_device(examples, device, needs) if size < SHARE * free else examples


def on_device(examples: Examples, device: torch.device, needs: frozenset[str]) -> Resident:
    """``examples`` with what they hold on ``device``, whatever room there is."""
    encoded = examples.encoded
    arrays = {"ids": _one_more(encoded.ids), "offsets": encoded.offsets, "labels": examples.labels}
    for name in needs:
        answers = getattr(examples, name)
        assert answers is not None and examples.stored is not None, f"the objective needs {name}"
        arrays[name] = answers[examples.stored]
    if "relations" in needs:
        assert encoded.words is not None
        arrays["words"] = _one_more(encoded.words)
    tensors = {name: torch.from_numpy(np.ascontiguousarray(array)).to(device) for name, array in arrays.items()}
    return Resident(**{field.name: getattr(examples, field.name) for field in fields(Examples)}, tensors=tensors)


def _one_more(values: np.ndarray) -> np.ndarray:
    return np.append(values, values.dtype.type(0))
