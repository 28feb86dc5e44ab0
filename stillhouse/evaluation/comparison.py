"""Arms of an experiment on the same test texts over several seeds: table, differences, figure."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from stillhouse.evaluation.significance import bootstrap_interval


@dataclass(frozen=True)
class Arm:
    """``right`` (seeds, texts): whether each text was answered rightly under each seed."""

    name: str
    right: np.ndarray

    @property
    def accuracies(self) -> np.ndarray:
        """One a seed, ``(seeds,)``."""
        accuracies: np.ndarray = self.right.mean(1)
        return accuracies


def compare(arms: list[Arm], pairs: list[tuple[str, str]], teacher: str, resamples: int, seed: int) -> dict[str, Any]:
    """Mean and spread over seeds of each arm, and paired differences.

    The interval of a difference is a bootstrap over the test texts, each with its mean over the seeds: what
    would change with other texts. The spread over seeds stands beside it.

    Args:
        arms: all with the same seeds and texts.
        pairs: names of arms; the second is taken from the first.
        teacher: the arm whose error the others' are divided by.
        resamples: of the bootstrap.
        seed: of the bootstrap.
    """
    by_name = {arm.name: arm for arm in arms}
    reference = 1 - by_name[teacher].accuracies.mean()
    table = {
        arm.name: {
            "accuracy": float(arm.accuracies.mean()),
            "spread": float(arm.accuracies.std(ddof=1)) if len(arm.accuracies) > 1 else 0.0,
            "seeds": [float(value) for value in arm.accuracies],
            "error_ratio": float((1 - arm.accuracies.mean()) / max(reference, 1e-9)),
        }
        for arm in arms
    }
    differences = {}
    for one, other in pairs:
        gap = by_name[one].right.mean(0) - by_name[other].right.mean(0)
        low, high = bootstrap_interval(gap, resamples, seed)
        seeds = by_name[one].accuracies - by_name[other].accuracies
        differences[f"{one} - {other}"] = {
            "accuracy": float(gap.mean()),
            "low": low,
            "high": high,
            "seeds": [float(value) for value in seeds],
        }
    return {"arms": table, "differences": differences}


def tables(result: dict[str, Any]) -> tuple[list[list[str]], list[list[str]]]:
    """Rows of text, the first the heading: of the arms, and of the differences."""
    arms = [["arm", "accuracy", "spread over seeds", "error / teacher's error"]]
    for name, arm in result["arms"].items():
        arms.append([name, f"{100 * arm['accuracy']:.2f} %", f"{100 * arm['spread']:.2f}", f"{arm['error_ratio']:.2f}"])
    differences = [["difference", "points", "95 % interval", "each seed"]]
    for name, gap in result["differences"].items():
        interval = f"{100 * gap['low']:+.2f} to {100 * gap['high']:+.2f}"
        seeds = ", ".join(f"{100 * value:+.2f}" for value in gap["seeds"])
        differences.append([name, f"{100 * gap['accuracy']:+.2f}", interval, seeds])
    return arms, differences
