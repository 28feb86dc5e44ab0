"""The teacher's answers, computed once and kept beside the texts."""

from pathlib import Path

import numpy as np
from datasets import Dataset
from numpy.lib.format import open_memmap
from tqdm import tqdm

from stillhouse.models.teacher import Teacher

CHUNK = 64  # batches that are sorted by length together


def soft_labels(teacher: Teacher, dataset: Dataset, batch_size: int, bf16: bool, file: Path) -> np.ndarray:
    """Write the teacher's logits for ``dataset['text']`` to ``file``, chunk by chunk.

    Returns:
        The logits, float32 of shape ``(texts, classes)`` in the texts' order, memory-mapped from ``file``.
    """
    logits = open_memmap(file, "w+", np.float32, (len(dataset), teacher.model.config.num_labels))
    size = batch_size * CHUNK
    for index, batch in enumerate(tqdm(dataset.iter(size), total=-(-len(dataset) // size), unit="chunk", disable=None)):
        logits[index * size : index * size + len(batch["text"])] = teacher.logits(batch["text"], batch_size, bf16)
    logits.flush()
    return logits
