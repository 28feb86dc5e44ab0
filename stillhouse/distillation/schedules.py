"""Schedules: values that change during the training of a student."""

import math
from collections.abc import Callable

from stillhouse.params import Varying


def value_at(setting: float | Varying, progress: float) -> float:
    """Return ``alpha`` or ``temperature`` at ``progress`` (0 at the first step, 1 at the last).

    Annealing of the temperature, or towards the hard labels: A. Jafari et al., "Annealing Knowledge Distillation",
    EACL 2021, arXiv:2104.07163.
    """
    if not isinstance(setting, Varying):
        return setting
    moved = progress if setting.shape == "linear" else 0.5 * (1 - math.cos(math.pi * progress))
    return setting.start + (setting.end - setting.start) * moved


def warmup_cosine(steps: int, warmup: float) -> Callable[[int], float]:
    """Return the factor of the learning rate by step: a linear rise over the share ``warmup``, then half a cosine."""
    rise = max(1, round(warmup * steps))

    def factor(step: int) -> float:
        if step < rise:
            return (step + 1) / rise
        return 0.5 * (1 + math.cos(math.pi * (step - rise) / max(1, steps - rise)))

    return factor
