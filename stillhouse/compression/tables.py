"""The tables of a student without an encoder, for :class:`~stillhouse.serving.networks.TableNetwork`.

Between its tables and its logits such a student has linear layers alone. So these are multiplied into the tables where
the classes are fewer than the numbers of a vector: a row is then what a piece adds to each logit, and nothing is lost.
"""

from pathlib import Path

import numpy as np
import torch

from stillhouse.compression.integers import rounded, scale_of
from stillhouse.data.vocabulary import PAD_ID
from stillhouse.models.students.network import TextNetwork

Arrays = dict[str, np.ndarray]
BY_PIECE = ("words", "wide", "wide_weights")  # arrays with a row for each word piece
QUANTISED = {  # the arrays that share a scale
    "words_scale": ("words",),
    "wide_scale": ("wide", "pairs"),
    "weights_scale": ("wide_weights", "pairs_weights"),
}
TYPES = {"none": np.float32, "fp16": np.float16}  # of the numbers in the tables; else 8-bit integers


@torch.no_grad()
def tables_of(network: TextNetwork) -> Arrays:
    """Return the arrays of a trained student without an encoder, float32. The row of the padding is 0."""
    vocabulary = network.embedding.num_embeddings
    words = network.embedding.weight.numpy().copy() if network.bag else np.zeros((vocabulary, 0), np.float32)
    words[PAD_ID] = 0.0
    if network.wide is None:
        weights, pair_weights = np.zeros(vocabulary, np.float32), np.zeros(1, np.float32)
        wide, pairs = np.zeros((vocabulary, 0), np.float32), np.zeros((1, 0), np.float32)
    else:
        weights, pair_weights = network.wide.piece_weights.numpy().copy(), network.wide.pair_weights.numpy()
        weights[PAD_ID] = 0.0
        wide = network.wide.pieces.weight.numpy() * weights[:, None]
        pairs = network.wide.pairs.weight.numpy() * pair_weights[:, None]
    head, size = network.head.weight.numpy().T, words.shape[1]
    words, words_head = _folded([words], head[:size])
    wide, pairs, wide_head = _folded([wide, pairs], head[size:])
    return {
        "words": words,
        "wide": wide,
        "pairs": pairs,
        "wide_weights": np.abs(weights),
        "pairs_weights": np.abs(pair_weights),
        "words_head": words_head,
        "wide_head": wide_head,
        "bias": network.head.bias.numpy(),
    }


def _folded(tables: list[np.ndarray], head: np.ndarray) -> list[np.ndarray]:
    """Multiply ``head`` (size, classes) into the tables (rows, size) if that makes them smaller."""
    size, classes = head.shape
    if classes >= size:
        return [*tables, head]
    return [*(table @ head for table in tables), np.eye(classes, dtype=np.float32)]


def write_tables(arrays: Arrays, file: Path, quantisation: str = "none") -> None:
    """Write the arrays of :func:`tables_of` to ``file``.

    Args:
        arrays: the tables, float32.
        file: a file with the extension ``npz``.
        quantisation: of ``compress.quantisation``. All its kinds of 8-bit integers are the same here: one scale for
            each column, by its largest number.
    """
    written = dict(arrays)
    for shared, names in QUANTISED.items():
        largest = np.max([np.abs(arrays[name]).max(0, initial=0.0) for name in names], 0)
        scale = np.ones_like(largest) if quantisation in TYPES else scale_of(largest)
        written[shared] = scale.astype(np.float32)
        for name in names:
            if quantisation in TYPES:
                written[name] = arrays[name].astype(TYPES[quantisation])
            else:
                written[name] = rounded(arrays[name], scale)
    np.savez(file, allow_pickle=False, **written)


def first_pieces(arrays: Arrays, size: int) -> Arrays:
    """Return the tables of the first ``size`` word pieces."""
    return arrays | {name: arrays[name][:size] for name in BY_PIECE}
