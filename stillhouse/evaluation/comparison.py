"""Comparison of the arms of an experiment on the same test texts over several seeds."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from stillhouse.evaluation.significance import bootstrap_interval


@dataclass(frozen=True)
class Arm:
    """One arm. ``right``, of shape ``(seeds, texts)``, is 1 for a correct prediction and 0 for a wrong one."""

    name: str
    right: np.ndarray

    @property
    def accuracies(self) -> np.ndarray:
        """The accuracy of each seed, ``(seeds,)``."""
        accuracies: np.ndarray = self.right.mean(1)
        return accuracies


def compare(arms: list[Arm], pairs: list[tuple[str, str]], teacher: str, resamples: int, seed: int) -> dict[str, Any]:
    """Mean and spread over seeds of each arm, and paired differences.

    The interval of a difference is a bootstrap over the test texts, each with its mean over the seeds. It covers the
    variation between texts; the values of each seed show the variation between seeds.

    Args:
        arms: all with the same seeds and texts.
        pairs: names of two arms; a difference is the first minus the second.
        teacher: the arm whose error divides the error of each arm (``error_ratio``).
        resamples: of the bootstrap.
        seed: of the bootstrap.

    Returns:
        ``arms`` and ``differences``, by name; accuracies and differences are from -1 to 1.
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
    """The table of the arms and that of the differences, as rows of text with the heading first."""
    arms = [["arm", "accuracy", "spread over seeds", "error / teacher's error"]]
    for name, arm in result["arms"].items():
        arms.append([name, f"{100 * arm['accuracy']:.2f} %", f"{100 * arm['spread']:.2f}", f"{arm['error_ratio']:.2f}"])
    differences = [["difference", "points", "95 % interval", "each seed"]]
    for name, gap in result["differences"].items():
        interval = f"{100 * gap['low']:+.2f} to {100 * gap['high']:+.2f}"
        seeds = ", ".join(f"{100 * value:+.2f}" for value in gap["seeds"])
        differences.append([name, f"{100 * gap['accuracy']:+.2f}", interval, seeds])
    return arms, differences
