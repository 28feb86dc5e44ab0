"""Throughput and latency of several models on the same machine, from text to label."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp
from typing import Annotated

import numpy as np
from numpy.lib.format import open_memmap

from stillhouse.evaluation.candidate import Candidate
from stillhouse.evaluation.display import Metric, number
from stillhouse.evaluation.latency import latency_ms

ROUNDS = 3  # turns of each candidate
SINGLE_TEXTS = 30  # texts for the latency
LONGEST_PASS_S = 4.0  # a longer pass is not repeated
ROUND_S = 0.2  # least duration of a turn
SAMPLE = 32  # texts of a pass, if the predictions for all texts are known already
BLOCK = 20_000  # most texts of a call, which are in memory at once


@dataclass(frozen=True, kw_only=True)
class Speed:
    """Speed from text to label: texts per second with all texts (20,000 in a call), and milliseconds with one a call.

    To add a metric, add a field with its title, format and direction, and compute its value in :func:`measure_speed`.
    """

    docs_per_s: Annotated[float, Metric("docs/s", number, higher_is_better=True, brief=True, cost=True)]
    latency_ms: Annotated[float, Metric("one text, ms", number, higher_is_better=False, cost=True)]
    latency_p95_ms: float


def measure_speed(
    candidates: Sequence[Candidate], texts: Sequence[str], round_s: float = ROUND_S, scratch: Path | None = None
) -> tuple[dict[str, np.ndarray], dict[str, Speed]]:
    """Time the candidates on ``texts``, up to 20,000 in a call and one a call.

    The candidates take turns, so that a change of the machine's load affects all of them. A candidate whose predictions
    are known reads every n-th text alone.

    Args:
        candidates: the models.
        texts: the texts to predict.
        round_s: a turn repeats the pass over all texts until this many seconds have passed; a pass that took longer
            than 4 s is not repeated.
        scratch: a folder for the predictions of more than 20,000 texts; None: they are in memory.

    Returns:
        Each candidate's predictions for ``texts``, by name; and its speed: texts per second of the fastest pass, and
        the median and 95th percentile of the latency.
    """
    for candidate in candidates:
        candidate.predict(texts[:8])  # the first call is slower: it allocates memory and chooses kernels
    best: dict[str, float] = {}
    scores = {one.name: one.known for one in candidates if one.known is not None}
    read = {one.name: texts if one.known is None else texts[:: -(-len(texts) // SAMPLE)] for one in candidates}
    for _ in range(ROUNDS):
        for candidate in candidates:
            if best.get(candidate.name, 0.0) > LONGEST_PASS_S:
                continue
            end = time.perf_counter() + round_s
            while time.perf_counter() < end:
                predicted = None if candidate.name in scores else _Predictions(len(texts), scratch)
                seconds = _pass_s(candidate, read[candidate.name], predicted)
                if predicted:
                    scores[candidate.name] = predicted.array
                best[candidate.name] = min(seconds, best.get(candidate.name, seconds))
    result: dict[str, Speed] = {}
    for candidate in candidates:
        median, slow = latency_ms(candidate.predict, texts[:SINGLE_TEXTS])
        speed = len(read[candidate.name]) / best[candidate.name]
        result[candidate.name] = Speed(docs_per_s=speed, latency_ms=median, latency_p95_ms=slow)
    return scores, result


class _Predictions:
    """Predictions for ``texts`` texts, in a memory-mapped file if there are many and there is a folder for them."""

    def __init__(self, texts: int, scratch: Path | None) -> None:
        self._texts, self._scratch = texts, scratch
        self.array: np.ndarray = np.zeros(0)

    def add(self, start: int, predicted: np.ndarray) -> None:
        """Store the predictions of the texts from ``start`` on."""
        if len(predicted) == self._texts:
            self.array = predicted
            return
        if not start:
            shape = (self._texts, *predicted.shape[1:])
            if self._scratch is None:
                self.array = np.empty(shape, predicted.dtype)
            else:
                file = Path(mkdtemp(dir=self._scratch)) / "predictions.npy"
                self.array = np.asarray(open_memmap(file, "w+", predicted.dtype, shape))
        self.array[start : start + len(predicted)] = predicted


def _pass_s(candidate: Candidate, texts: Sequence[str], predictions: _Predictions | None) -> float:
    """Return the seconds that a candidate takes for all texts, without those of reading the texts from disk."""
    seconds = 0.0
    for first in range(0, len(texts), BLOCK):
        some = texts[first : first + BLOCK]
        start = time.perf_counter()
        predicted = candidate.predict(some)
        seconds += time.perf_counter() - start
        if predictions:
            predictions.add(first, predicted)
    return seconds
