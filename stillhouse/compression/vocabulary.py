"""Vocabulary pruning: a smaller vocabulary for a student that was trained with a larger one."""

from collections.abc import Collection
from pathlib import Path

import onnx
from onnx import numpy_helper
from tokenizers import Tokenizer

from stillhouse.data.vocabulary import truncate_vocabulary


def prune_vocabulary(
    source: Path, target: Path, tokenizer: Tokenizer, size: int, embeddings: Collection[str]
) -> Tokenizer:
    """Write a copy of the ONNX file ``source`` that has the first ``size`` word pieces.

    Single characters always stay, so more than ``size`` pieces can remain. A word whose piece was removed is split into
    shorter pieces. The student was trained with these pieces, too.

    Args:
        source: the student's ONNX file.
        target: the ONNX file to write.
        tokenizer: the student's tokenizer. Its word pieces are in order of frequency.
        size: number of word pieces in the smaller vocabulary, if that includes all single characters.
        embeddings: names of the parameters that have one row for each word piece.

    Returns:
        The tokenizer of the smaller vocabulary.
    """
    graph = onnx.load(source)
    smaller = truncate_vocabulary(tokenizer, size)
    for tensor in graph.graph.initializer:
        if tensor.name in embeddings:
            rows = numpy_helper.to_array(tensor)[: smaller.get_vocab_size()]
            tensor.CopyFrom(numpy_helper.from_array(rows.copy(), tensor.name))
    onnx.save(graph, target)
    return smaller
