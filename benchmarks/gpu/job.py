"""What a part gets: a device, sizes, a folder, a place for its numbers, and a time at which it must be done."""

import time
from dataclasses import dataclass, field
from functools import cached_property
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch

from benchmarks.gpu.record import Record
from stillhouse.models.device import choose_device
from stillhouse.params import Params, load_params


class Cut(Exception):
    """The time of a part is over."""


@dataclass(frozen=True)
class Sizes:
    """How much each part does."""

    matrix: int  # rows and columns of the product
    copy_mib: int
    accuracy_texts: int  # that the packaged teacher is fine-tuned on
    epochs: int
    batch: int  # of fine-tuning for speed
    steps: int  # of fine-tuning for speed
    length: int  # tokens of each text that a teacher reads
    soft_texts: int
    soft_batches: tuple[int, ...]
    student_texts: int
    student_batches: tuple[int, ...]
    student_epochs: int  # of timed training
    compared_texts: int
    memory_batch: int
    hold_s: float  # that a process keeps its place
    random: dict[str, int] = field(default_factory=dict)  # the shape of the BERT with random weights


BASE = {"hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12, "intermediate_size": 3072}
TINY = {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 128}
FULL = Sizes(
    8192, 2048, 1600, 2, 64, 150, 128, 4000, (16, 32, 64, 128, 256, 512, 1024), 1600, (32, 256), 5, 400, 1024, 4.0, BASE
)
SMALL = Sizes(512, 64, 120, 1, 8, 32, 32, 96, (8, 32), 96, (32,), 2, 48, 32, 0.7, TINY)


@dataclass(frozen=True)
class Job:
    """One part's work. ``spawn`` names how processes start; ``teacher`` and ``texts`` override what is packaged."""

    part: str
    record: Record
    work: Path
    deadline: float  # of time.time(), which processes share
    small: bool
    spawn: str
    teacher: Path | None = None
    texts: Path | None = None

    @property
    def sizes(self) -> Sizes:
        """The full ones on a GPU, unless the small form was requested."""
        return FULL if self.device.type == "cuda" and not self.small else SMALL

    @cached_property
    def device(self) -> torch.device:
        """The one that ``device: auto`` chooses."""
        return choose_device("auto")

    @cached_property
    def params(self) -> Params:
        """The project's own parameters."""
        return load_params()

    @property
    def context(self) -> Any:
        """Starts the processes of a part that does not use the device itself, since no copy of CUDA's state works."""
        return get_context("spawn" if self.spawn == "spawn" else "fork")

    def row(self, **values: Any) -> None:
        """Record a row of the part's table: column names and values."""
        self.record.add(self.part, row=values)

    def note(self, text: str) -> None:
        """Record a sentence about the part: which data, which weights, what it shows."""
        self.record.add(self.part, note=text)

    def ceiling(self, column: str) -> float | None:
        """What ``ceilings`` measured in this run."""
        return self.record.value("ceilings", column)

    def left(self) -> float:
        """Seconds until the part must be done."""
        return self.deadline - time.time()

    def check(self) -> None:
        """Raises Cut where the time is over."""
        if self.left() <= 0:
            raise Cut


class Stamps:
    """A training's log that keeps when each number came, and ends the training when the time is over."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.rows: list[tuple[float, int | None, dict[str, float]]] = []  # seconds, step, numbers

    def metrics(self, values: dict[str, Any], step: int | None = None) -> None:
        """As :class:`stillhouse.distillation.log.Log`."""
        self.rows.append((time.perf_counter(), step, values))
        self.job.check()

    def series(self, name: str, values: list[float], first_step: int) -> None:
        """Nothing."""

    def step_seconds(self) -> list[float]:
        """Seconds of a step, from each pair of neighbouring numbers with no validation between them."""
        found = []
        for (start, first, _), (end, last, values) in zip(self.rows, self.rows[1:], strict=False):
            if first is not None and last is not None and last > first and "loss" in values:
                found.append((end - start) / (last - first))
        return found
