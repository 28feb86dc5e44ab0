"""How many texts a network reads at once: what is fastest on a GPU, and what its memory can hold."""

import logging
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar

import torch

from stillhouse.errors import BadInput

logger = logging.getLogger(__name__)
T = TypeVar("T")

CPU_BATCH = 32
SIZES = (32, 64, 128, 256, 512, 1024)
GAIN = 1.05  # of texts a second, below which a doubled batch is not worth its memory
REPEATS = 3


def fastest_size(rate: Callable[[int], float], sizes: tuple[int, ...] = SIZES) -> int:
    """The batch size from which doubling gains less than 5 %.

    Args:
        rate: texts a second with a batch size; raises ``torch.OutOfMemoryError`` where memory does not suffice.
        sizes: in ascending order; the first is the result where not even that fits.
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


def timed_rate(ask: Callable[[], Any], texts: int, device: torch.device) -> float:
    """Texts a second of ``ask``, which answers ``texts`` texts: the mean of three calls after a first."""
    ask()
    synchronise(device)
    start = time.perf_counter()
    for _ in range(REPEATS):
        ask()
    synchronise(device)
    return REPEATS * texts / (time.perf_counter() - start)


def synchronise(device: torch.device) -> None:
    """Wait until ``device`` has done all that it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


class Portions:
    """Rows in portions that memory can hold: at most ``size``, and half as many each time memory does not suffice."""

    def __init__(self, size: int) -> None:
        self.size = size

    def of(self, rows: int, ask: Callable[[slice], T]) -> Iterator[tuple[slice, T]]:
        """``ask`` about ``rows`` rows, one portion after the other.

        Yields:
            The slice of the rows, and the answer.

        Raises:
            torch.OutOfMemoryError: not even one row fits.
        """
        start = 0
        while start < rows:
            part = slice(start, min(start + self.size, rows))
            try:
                answer = ask(part)
            except torch.OutOfMemoryError:
                if part.stop - start == 1:
                    raise
                self.size = (part.stop - start) // 2
            else:
                yield part, answer
                start = part.stop
                continue
            # Outside of the handler, since the exception holds the failed call's tensors.
            logger.warning("out of memory with %d texts at once; %d from now on", part.stop - start, self.size)
            if torch.cuda.is_available():
                torch.cuda.empty_cache()


def ahead(items: Iterator[T], depth: int) -> Iterator[T]:
    """``items``, of which a thread makes up to ``depth`` before they are needed; with 0 there is no thread."""
    if not depth:
        yield from items
        return
    end: Any = object()
    with ThreadPoolExecutor(1) as pool:
        coming = deque(pool.submit(next, items, end) for _ in range(depth))
        while (item := coming.popleft().result()) is not end:
            coming.append(pool.submit(next, items, end))
            yield item


@contextmanager
def memory_explained(advice: str) -> Iterator[None]:
    """Turn the end of a GPU's memory within the block into a message that ends with ``advice``.

    Raises:
        BadInput: the memory did not suffice.
    """
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise BadInput(f"The GPU has too little memory: {'. '.join(str(error).split('. ')[:2])}. {advice}") from None
