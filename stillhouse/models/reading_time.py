"""Estimates how long a teacher reads texts on this machine: its operations, divided by a measured speed.

The speed is that of a product of matrices of the teacher's own sizes, in which a transformer spends most of its time.
"""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from stillhouse.data.language import teacher_encoder
from stillhouse.data.sample import sample_teacher
from stillhouse.params import OneTeacher

MEASURED_S = 0.3
BATCH = 32
SPECIAL = 2  # tokens around each text
FIRST_LENGTH = 128  # tokens with teacher.max_length: auto, before a longer length is shown to be better


@dataclass(frozen=True)
class Reading:
    """The time in which a teacher reads texts once.

    Attributes:
        seconds: for one text, on average.
        tokens: of one text, on average.
        operations_per_second: measured.
        device: ``cpu``, ``cuda`` or ``mps``.
    """

    seconds: float
    tokens: float
    operations_per_second: float
    device: str


def reading_time(settings: OneTeacher, texts: Sequence[str], device: torch.device) -> Reading | None:
    """Estimate the time for one text like ``texts``.

    Args:
        settings: of the teacher.
        texts: a sample.
        device: on which the teacher will read.

    Returns:
        The time, or None if the checkpoint is not on this machine or its config.json does not have its sizes.
    """
    try:
        folder = sample_teacher() if settings.model == "sample" else Path(settings.model).expanduser()
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        layers, width, inner = (config[key] for key in ("num_hidden_layers", "hidden_size", "intermediate_size"))
        encode, _ = teacher_encoder(settings)
        longest = FIRST_LENGTH if settings.max_length == "auto" else settings.max_length
        lengths = [min(len(encode(text)) + SPECIAL, longest) for text in texts]
    except Exception:  # the teacher stage reports a faulty checkpoint
        return None
    # Multiplications and additions of the projections, the feed-forward layers and the attention.
    operations = [layers * (2 * n * (4 * width**2 + 2 * width * inner) + 4 * n**2 * width) for n in lengths]
    speed = _speed(longest, width, inner, device)
    mean = sum(operations) / len(operations)
    return Reading(mean / speed, sum(lengths) / len(lengths), speed, device.type)


def _speed(length: int, width: int, inner: int, device: torch.device) -> float:
    """Return operations per second of the fastest of several products."""
    rows, weights = torch.rand(BATCH * length, width, device=device), torch.rand(width, inner, device=device)
    fastest, end = float("inf"), time.monotonic() + MEASURED_S
    while time.monotonic() < end or fastest == float("inf"):
        start = time.perf_counter()
        product = rows @ weights
        product[0, 0].item()  # waits for the device
        fastest = min(fastest, time.perf_counter() - start)
    return 2 * rows.numel() * inner / fastest
