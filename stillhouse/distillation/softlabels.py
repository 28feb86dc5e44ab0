"""Computes the soft labels of the transfer set: logits, features and relations of the teacher."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from datasets import Dataset
from numpy.lib.format import open_memmap
from torch import nn

from stillhouse.cluster import Cluster
from stillhouse.distillation.parallel.cluster_labels import label_on_cluster
from stillhouse.distillation.parallel.labels import label_on_ranks
from stillhouse.distillation.softlabeller import labelled, soft_labeller, store
from stillhouse.errors import BadInput
from stillhouse.models.encoder import hidden_size
from stillhouse.models.finished import ZeroShotClassifier
from stillhouse.models.teacher import Teacher

ROWS = 10_000  # rows of encoded texts that the head computes at once


@dataclass(frozen=True)
class ProbeInputs:
    """Inputs of a probe's head, for texts that the stage ``teacher`` encoded.

    Attributes:
        inputs: float32 (encoded texts, size).
        rows: int64 (texts,), the row in ``inputs`` of each text; -1 for a text that was not encoded.
    """

    inputs: np.ndarray
    rows: np.ndarray


def write_soft_labels(
    teacher: Teacher,
    datasets: Sequence[Dataset],
    batch_size: int,
    bf16: bool,
    relation_words: int,
    folder: Path,
    known: ProbeInputs | None = None,
    processes: int = 1,
    source: Path | None = None,
    cluster: Cluster | None = None,
) -> np.ndarray:
    """Write the soft labels of the column ``text`` of all ``datasets`` to ``folder``, for ``read_soft_labels``.

    Texts in ``known`` are not encoded again, unless relations are needed.

    Args:
        teacher: labels the texts.
        datasets: the texts, in the order of the rows that are written.
        batch_size: texts at once.
        bf16: compute in bfloat16 where PyTorch's autocast does.
        relation_words: words of each text with stored relations; 0 for no relations.
        folder: gets ``logits.npy``, ``features.npy`` and ``relations.npy``.
        known: inputs of the head for texts that were encoded before.
        processes: number of processes that share the texts.
        source: for several processes or a cluster, the folder that ``teacher`` was loaded from.
        cluster: labels the texts instead of ``processes`` on this machine.

    Returns:
        The logits, float32 of shape ``(texts, classes)``.

    Raises:
        BadInput: relations are needed, but the teacher, its attention or its tokenizer does not provide them.
        StillhouseError: a process that labels texts failed.
    """
    texts = sum(len(dataset) for dataset in datasets)
    labeller = soft_labeller(teacher, datasets, batch_size, bf16, relation_words)
    head = labeller.head
    size = head.in_features if head else hidden_size(teacher.model.config)
    logits = open_memmap(folder / "logits.npy", "w+", np.float32, (texts, teacher.model.config.num_labels))
    features = open_memmap(folder / "features.npy", "w+", np.float16, (texts, size))
    relations = None
    if relation_words:
        if isinstance(teacher.model, ZeroShotClassifier):
            raise BadInput("soft_labels.relation_words: a zero-shot teacher has no relations of its own; set 0.")
        if not teacher.tokenizer.is_fast:
            raise BadInput(
                "soft_labels.relation_words: this teacher's tokenizer returns no positions of its tokens; set 0."
            )
        shape = (texts, 3, relation_words, hidden_size(teacher.model.config))
        relations = open_memmap(folder / "relations.npy", "w+", np.float16, shape)
    known_rows = np.full(texts, -1, np.int64)
    if known and head and not relation_words:
        known_rows = known.rows
        _label_known(head, known, logits, features)
    arrays = [logits, features, *([] if relations is None else [relations])]
    if cluster and (known_rows < 0).any():
        assert source is not None
        label_on_cluster(labeller, datasets, known_rows, arrays, cluster, source)
    elif processes > 1 and not cluster:
        assert source is not None
        label_on_ranks(labeller, datasets, known_rows, folder, source, processes)
    else:
        store(labelled(labeller, datasets, known_rows), arrays, int((known_rows < 0).sum()))
    for array in arrays:
        array.flush()
    return logits


@torch.inference_mode()
def _label_known(head: nn.Linear, known: ProbeInputs, logits: np.ndarray, features: np.ndarray) -> None:
    rows = np.flatnonzero(known.rows >= 0)
    for start in range(0, len(rows), ROWS):
        some = rows[start : start + ROWS]
        inputs = np.array(known.inputs[known.rows[some]])
        logits[some] = head(torch.from_numpy(inputs).to(head.weight)).float().cpu().numpy()
        features[some] = inputs
