"""Batches: padding, the fastest size on a GPU, and smaller batches when memory runs out."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import chain
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from stillhouse.errors import BadInput

if TYPE_CHECKING:  # students are trained without transformers, whose import takes seconds
    from transformers import PreTrainedTokenizerBase

logger = logging.getLogger(__name__)
T = TypeVar("T")

CPU_BATCH = 32
SIZES = (32, 64, 128, 256, 512, 1024)
GAIN = 1.05  # factor of texts a second that a doubled batch must reach
REPEATS = 3


def fastest_size(rate: Callable[[int], float], sizes: tuple[int, ...] = SIZES) -> int:
    """Return the batch size beyond which doubling gains less than 5 %.

    Args:
        rate: returns texts a second for a batch size. Raises ``torch.OutOfMemoryError`` if memory does not suffice.
        sizes: in ascending order. If none fits, the function returns the first.
    """
    best, best_rate = sizes[0], 0.0
    for size in sizes:
        try:
            measured = rate(size)
        except torch.OutOfMemoryError:
            break
        if measured < GAIN * best_rate:
            break
        best, best_rate = size, measured
    return best


def timed_rate(call: Callable[[], Any], texts: int, device: torch.device) -> float:
    """Return texts a second of ``call``, which computes ``texts`` texts: the mean of three calls after a warm-up."""
    call()
    synchronise(device)
    start = time.perf_counter()
    for _ in range(REPEATS):
        call()
    synchronise(device)
    return REPEATS * texts / (time.perf_counter() - start)


def synchronise(device: torch.device) -> None:
    """Wait until ``device`` has finished its work."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


class ShrinkingBatches:
    """Batches of at most ``size`` rows. Each time memory does not suffice, the size is halved for good."""

    def __init__(self, size: int) -> None:
        self.size = size

    def run(self, rows: int, compute: Callable[[slice], T]) -> Iterator[tuple[slice, T]]:
        """Call ``compute`` for ``rows`` rows, one batch after the other.

        Yields:
            The slice of the rows, and the result.

        Raises:
            torch.OutOfMemoryError: not even one row fits.
        """
        start = 0
        while start < rows:
            part = slice(start, min(start + self.size, rows))
            try:
                result = compute(part)
            except torch.OutOfMemoryError:
                if part.stop - start == 1:
                    raise
                self.size = (part.stop - start) // 2
            else:
                yield part, result
                start = part.stop
                continue
            # Free the memory outside of the handler: the exception holds the failed call's tensors.
            logger.warning("out of memory with %d texts at once; %d from now on", part.stop - start, self.size)
            if torch.cuda.is_available():
                torch.cuda.empty_cache()


def pad(tokens: dict[str, list[list[int]]], rows: np.ndarray, tokenizer: PreTrainedTokenizerBase) -> dict[str, Tensor]:
    """Pad the texts at ``rows`` to the longest of them.

    ``tokenizer.pad`` returns the same numbers, at 9,300 texts a second beside an H200; this function pads 100,000.

    Args:
        tokens: a list a text for each input of the model.
        rows: row numbers in ``tokens``.
        tokenizer: defines the padding token and the side of the padding.

    Returns:
        int64 tensors of shape ``(len(rows), longest)``.
    """
    lengths = np.array([len(tokens["input_ids"][row]) for row in rows])
    positions = np.arange(lengths.max(initial=0))
    inside = positions < lengths[:, None]
    if tokenizer.padding_side == "left":
        inside = inside[:, ::-1]
    padding = {"input_ids": tokenizer.pad_token_id, "token_type_ids": tokenizer.pad_token_type_id}
    batch = {}
    for name, values in tokens.items():
        padded = np.full(inside.shape, padding.get(name, 0), np.int64)
        padded[inside] = np.fromiter(chain.from_iterable(values[row] for row in rows), np.int64, int(lengths.sum()))
        batch[name] = torch.from_numpy(padded)
    return batch


class PaddingCollator:
    """Makes a batch of the Trainer's rows as transformers' ``DataCollatorWithPadding`` does, ten times as fast."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self.tokenizer = tokenizer

    def __call__(self, rows: list[dict[str, Any]]) -> dict[str, Tensor]:
        """Return the inputs of the model, padded as :func:`pad` does, and every other column as a tensor."""
        columns = {name: [row[name] for row in rows] for name in rows[0]}
        tokens = {name: columns.pop(name) for name in self.tokenizer.model_input_names}
        batch = pad(tokens, np.arange(len(rows)), self.tokenizer)
        return batch | {name: torch.tensor(values) for name, values in columns.items()}


def prefetched(items: Iterator[T], depth: int) -> Iterator[T]:
    """Yield ``items``. A thread makes up to ``depth`` of them in advance; with 0 there is no thread."""
    if not depth:
        yield from items
        return
    end: Any = object()
    with ThreadPoolExecutor(1) as pool:
        pending = deque(pool.submit(next, items, end) for _ in range(depth))
        while (item := pending.popleft().result()) is not end:
            pending.append(pool.submit(next, items, end))
            yield item


@contextmanager
def explain_out_of_memory(advice: str) -> Iterator[None]:
    """Turn an out-of-memory error of the GPU within the block into a message that ends with ``advice``.

    Raises:
        BadInput: the memory did not suffice.
    """
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise BadInput(f"The GPU has too little memory: {'. '.join(str(error).split('. ')[:2])}. {advice}") from None
