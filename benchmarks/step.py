"""``python -m benchmarks.step [outputs]``: the parts of a training step of the default student.

It reads the ``outputs`` folder of a finished pipeline, and times one epoch of distillation from the stored soft labels
and, within it, the preparation of each batch. It prints the share of a step that is not the network: selecting the
batch's rows, padding them and reading the soft labels.
"""

import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from stillhouse.data.encoded import batches, encode_texts
from stillhouse.data.splits import label_names, labels_of, read_split
from stillhouse.data.vocabulary import load_vocabulary
from stillhouse.distillation.answers import read_soft_labels
from stillhouse.distillation.check import Check
from stillhouse.distillation.examples import Examples
from stillhouse.distillation.objective import Batch, distillation
from stillhouse.distillation.trainer import train_student
from stillhouse.distillation.trust import ALPHA_ABOVE
from stillhouse.evaluation.report import machine
from stillhouse.models.students.student import build_student
from stillhouse.params import load_params


@dataclass(frozen=True)
class Timed(Examples):
    """Examples that record how long the preparation of each batch took."""

    seconds: list[float] = field(default_factory=list)

    def batch(self, rows: np.ndarray, device: torch.device, needs: frozenset[str] = frozenset()) -> Batch:
        """As in the base class."""
        start = time.perf_counter()
        batch = super().batch(rows, device, needs)
        self.seconds.append(time.perf_counter() - start)
        return batch


class NullLog:
    """A training log that records nothing."""

    def metrics(self, values: dict[str, float], step: int | None = None) -> None:
        """Do nothing."""

    def series(self, name: str, values: list[float], first_step: int) -> None:
        """Do nothing."""


def main() -> None:
    """Measure and print."""
    outputs = Path(sys.argv[1] if len(sys.argv) > 1 else "outputs")
    params = load_params()
    settings = params.student
    train = read_split(outputs / "prepare" / "train.arrow")
    tokenizer = load_vocabulary(outputs / "control" / "model" / "tokenizer.json")
    answers = read_soft_labels(outputs / "soft_labels" / "answers")
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        encoded = encode_texts([train], tokenizer, settings.network.reads, scratch / "ids")
        rows = np.arange(len(train))
        timed = Timed(encoded, labels_of(train), answers.logits, answers.features, answers.relations, rows)
        short = encode_texts([train.select(range(8))], tokenizer, settings.network.reads, scratch / "few")
        few = Examples(short, labels_of(train)[:8])
        torch.manual_seed(params.seed)
        student = build_student(tokenizer, label_names(train), settings.network)
        objective = distillation(settings, ALPHA_ABOVE, student.network, answers.features.shape[1])
        start = time.perf_counter()
        train_student(
            student.network,
            timed,
            Check("validation_accuracy", few),
            objective,
            settings.training.model_copy(update={"epochs": 1, "min_updates": 0}),
            device=torch.device("cpu"),
            seed=params.seed,
            scratch=scratch,
            log=NullLog(),
        )
        whole = time.perf_counter() - start
        start = time.perf_counter()
        steps = sum(1 for _ in batches(encoded.lengths, settings.training.batch_size, params.seed))
        sampling = time.perf_counter() - start
    loading = sum(timed.seconds) + sampling
    print(f"{steps} steps of {settings.training.batch_size} texts, {machine()}")
    each, own = 1000 * whole / steps, 1000 * loading / steps
    print(f"a step {each:.1f} ms, of which its batch {own:.2f} ms: {loading / whole:.1%}")


if __name__ == "__main__":
    main()
