"""The input of a part: device, sizes, folder, record for its numbers, and deadline."""

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
    """The deadline of a part has passed."""


@dataclass(frozen=True)
class Sizes:
    """The sizes of the parts' measurements."""

    matrix: int  # rows and columns of the product
    copy_mib: int
    accuracy_texts: int  # texts for fine-tuning the packaged teacher
    epochs: int
    batch: int  # batch size of the timed fine-tuning
    steps: int  # steps of the timed fine-tuning
    length: int  # tokens of each text that a teacher reads
    soft_texts: int
    soft_batches: tuple[int, ...]
    student_texts: int
    student_batches: tuple[int, ...]
    student_epochs: int  # epochs of the timed training
    compared_texts: int
    memory_batch: int
    hold_s: float  # seconds for which a process holds its GPU slot
    random: dict[str, int] = field(default_factory=dict)  # configuration of the BERT with random weights


BASE = {"hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12, "intermediate_size": 3072}
TINY = {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 128}
FULL = Sizes(
    8192, 2048, 1600, 2, 64, 150, 128, 4000, (16, 32, 64, 128, 256, 512, 1024), 1600, (32, 256), 5, 400, 1024, 4.0, BASE
)
SMALL = Sizes(512, 64, 120, 1, 8, 32, 32, 96, (8, 32), 96, (32,), 2, 48, 32, 0.7, TINY)


@dataclass(frozen=True)
class Job:
    """A part's input. ``spawn`` is the processes' start method; ``teacher`` and ``texts`` replace the packaged ones."""

    part: str
    record: Record
    work: Path
    deadline: float  # in seconds of time.time(), which is the same in all processes
    small: bool
    spawn: str
    teacher: Path | None = None
    texts: Path | None = None

    @property
    def sizes(self) -> Sizes:
        """The full sizes on a GPU, unless the small form was requested."""
        return FULL if self.device.type == "cuda" and not self.small else SMALL

    @cached_property
    def device(self) -> torch.device:
        """The device that ``device: auto`` selects."""
        return choose_device("auto")

    @cached_property
    def params(self) -> Params:
        """The project's own parameters."""
        return load_params()

    @property
    def context(self) -> Any:
        """The multiprocessing context for a part that does not use the device itself: CUDA does not survive a fork."""
        return get_context("spawn" if self.spawn == "spawn" else "fork")

    def row(self, **values: Any) -> None:
        """Record a row of the part's table: column names and values."""
        self.record.add(self.part, row=values)

    def note(self, text: str) -> None:
        """Record a note on the part: its data, its weights, the meaning of its numbers."""
        self.record.add(self.part, note=text)

    def ceiling(self, column: str) -> float | None:
        """A number that the part ``ceilings`` measured in this run."""
        return self.record.value("ceilings", column)

    def left(self) -> float:
        """Seconds until the deadline."""
        return self.deadline - time.time()

    def check(self) -> None:
        """Raise Cut if the deadline has passed."""
        if self.left() <= 0:
            raise Cut


class Stamps:
    """A training log that records the time of each number, and ends the training at the deadline."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.rows: list[tuple[float, int | None, dict[str, float]]] = []  # seconds, step, numbers

    def metrics(self, values: dict[str, Any], step: int | None = None) -> None:
        """As :class:`stillhouse.distillation.log.Log`."""
        self.rows.append((time.perf_counter(), step, values))
        self.job.check()

    def series(self, name: str, values: list[float], first_step: int) -> None:
        """Do nothing."""

    def step_seconds(self) -> list[float]:
        """Seconds per step, from each two successive numbers without a validation between them."""
        found = []
        for (start, first, _), (end, last, values) in zip(self.rows, self.rows[1:], strict=False):
            if first is not None and last is not None and last > first and "loss" in values:
                found.append((end - start) / (last - first))
        return found
