"""An estimate of how long a training takes on this machine, from a few of its steps."""

import tempfile
import time
from collections.abc import Sequence
from itertools import cycle, islice
from pathlib import Path

import numpy as np
import torch
from datasets import Dataset
from tokenizers import Tokenizer

from stillhouse.data.encoded import batches, encode_texts
from stillhouse.distillation.examples import Examples
from stillhouse.distillation.objective import HardLabels
from stillhouse.distillation.trainer import TrainingLoop, epochs_and_steps
from stillhouse.models.students.student import build_student
from stillhouse.params import Student

WARM, TIMED = 2, 6  # steps


def training_seconds(
    settings: Student, tokenizer: Tokenizer, texts: Sequence[str], count: int, device: torch.device
) -> tuple[float, int]:
    """Estimate the duration of a student's training.

    Args:
        settings: of the student.
        tokenizer: of the student.
        texts: some of the training texts.
        count: number of all training texts.
        device: the device for the training.

    Returns:
        Seconds, and the number of the network's parameters.
    """
    training = settings.training
    epochs, steps = epochs_and_steps(training, count)
    with torch.random.fork_rng(), tempfile.TemporaryDirectory() as scratch:
        network = build_student(tokenizer, ["a", "b"], settings.network).network
        sample = Dataset.from_dict({"text": list(texts)})
        encoded = encode_texts([sample], tokenizer, settings.network.reads, Path(scratch, "ids"))
        examples = Examples(encoded, np.zeros(len(sample), np.int64))
        rows = list(batches(encoded.lengths, training.batch_size, 0))
        order = list(islice(cycle(rows), WARM + TIMED))
        loop = TrainingLoop(network, HardLabels(), training, WARM + TIMED, device)
        loop.run_epoch(examples, order[:WARM], 0)
        start = time.perf_counter()
        loop.run_epoch(examples, order[WARM:], WARM)
        seconds = (time.perf_counter() - start) / TIMED
    return seconds * epochs * steps * settings.generations, sum(one.numel() for one in network.parameters())
