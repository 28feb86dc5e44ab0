"""Throughput and latency, text in to label out, of models side by side."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np

from stillhouse.evaluation.candidate import Candidate
from stillhouse.evaluation.display import Metric, number
from stillhouse.evaluation.latency import latency_ms

ROUNDS = 3
SINGLE_TEXTS = 30
LONGEST_PASS_S = 4.0
ROUND_S = 0.2


@dataclass(frozen=True, kw_only=True)
class Speed:
    """Text in to label out: ``docs_per_s`` of all texts in one call, the latency of one text a call in milliseconds.

    A new metric: a field here with its title, format and direction, and its value in :func:`measure_speed`.
    """

    docs_per_s: Annotated[float, Metric("docs/s", number, higher_is_better=True, brief=True, cost=True)]
    latency_ms: Annotated[float, Metric("one text, ms", number, higher_is_better=False, cost=True)]
    latency_p95_ms: float


def measure_speed(
    candidates: Sequence[Candidate], texts: Sequence[str], round_s: float = ROUND_S
) -> tuple[dict[str, np.ndarray], dict[str, Speed]]:
    """Time each candidate on ``texts`` together and one by one, in turns, so that all see the same machine.

    A pass that takes longer than 4 s is not repeated; one of milliseconds is repeated until a turn has
    taken ``round_s``.

    Returns:
        Each candidate's predictions for ``texts``, by name; and its speed: the best pass, and median and 95th
        percentile of single texts.
    """
    for candidate in candidates:
        candidate.predict(texts[:8])  # first calls allocate and choose kernels
    best: dict[str, float] = {}
    scores: dict[str, np.ndarray] = {}
    for _ in range(ROUNDS):
        for candidate in candidates:
            if best.get(candidate.name, 0.0) > LONGEST_PASS_S:
                continue
            end = time.perf_counter() + round_s
            while (start := time.perf_counter()) < end:
                scores[candidate.name] = candidate.predict(texts)
                seconds = time.perf_counter() - start
                best[candidate.name] = min(seconds, best.get(candidate.name, seconds))
    result: dict[str, Speed] = {}
    for candidate in candidates:
        median, slow = latency_ms(candidate.predict, texts[:SINGLE_TEXTS])
        speed = len(texts) / best[candidate.name]
        result[candidate.name] = Speed(docs_per_s=speed, latency_ms=median, latency_p95_ms=slow)
    return scores, result
