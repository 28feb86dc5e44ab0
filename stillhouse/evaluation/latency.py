"""The latency of one text."""

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np


def latency_ms(predict: Callable[[Sequence[str]], Any], texts: Sequence[str]) -> tuple[float, float]:
    """Milliseconds of a call with one text: the median and the 95th percentile over ``texts``."""
    predict(texts[:1])  # not timed: the first call allocates memory
    single = []
    for text in texts:
        start = time.perf_counter()
        predict([text])
        single.append(1000 * (time.perf_counter() - start))
    return float(np.median(single)), float(np.quantile(single, 0.95))
