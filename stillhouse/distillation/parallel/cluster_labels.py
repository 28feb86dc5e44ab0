"""Soft labels that the workers of a Ray cluster compute. They read no files: the teacher and the texts are sent."""

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from datasets import Dataset

from stillhouse.cluster import Cluster, on_ray
from stillhouse.distillation.probe import classifier_head
from stillhouse.distillation.softlabeller import Part, SoftLabeller, chunks, store
from stillhouse.models.device import choose_device
from stillhouse.models.teacher import load_teacher


class LabelWorker:
    """Holds the teacher in a process of the cluster, on its GPU or its core."""

    def __init__(self, labeller: SoftLabeller) -> None:
        import ray  # an extra

        gpu = bool(ray.get_gpu_ids())
        if not gpu:
            torch.set_num_threads(1)
            os.environ["TOKENIZERS_PARALLELISM"] = "false"  # it would start a thread for each core
        labeller.teacher.model.to(choose_device("cuda" if gpu else "cpu"))
        self._labeller = labeller

    def label(self, chunk: tuple[np.ndarray, list[str]]) -> Part:
        """Return the rows of :func:`~stillhouse.distillation.softlabeller.chunks` and their signals."""
        rows, texts = chunk
        parts = list(self._labeller.signals(texts, self._labeller.teacher.tokens(texts)))
        order = np.concatenate([own for own, _ in parts])
        return rows[order], [np.concatenate(arrays) for arrays in zip(*(signals for _, signals in parts), strict=True)]


def label_on_cluster(
    labeller: SoftLabeller,
    datasets: Sequence[Dataset],
    known_rows: np.ndarray,
    arrays: Sequence[np.ndarray],
    cluster: Cluster,
    source: Path,
) -> None:
    """Label texts as :func:`~stillhouse.distillation.softlabeller.labelled` does, on a Ray cluster.

    Args:
        labeller: labels the texts. Its teacher leaves the GPU while the workers run.
        datasets: the texts.
        known_rows: int64 (texts,), -1 for a text to label.
        arrays: logits, features and, with relations, relations; they are written.
        cluster: the cluster.
        source: the folder of the teacher.

    Raises:
        BadInput: no cluster answers, or a chunk of texts ended several workers.
    """
    # transformers adds hooks to a teacher that returned its states; these cannot be sent.
    teacher = load_teacher(source, labeller.teacher.max_length, torch.device("cpu"))
    head = classifier_head(teacher.model, teacher.model.config.num_labels) if labeller.head else None
    sent, found = replace(labeller, teacher=teacher, head=head), chunks(labeller, datasets, known_rows)
    with labeller.off_gpu():
        less_memory = "Set a smaller soft_labels.batch_size."
        parts = on_ray(LabelWorker, sent, found, cluster, "A chunk of texts", less_memory)
        store(parts, arrays, int((known_rows < 0).sum()))
