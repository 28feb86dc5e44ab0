"""Vocabulary pruning: a smaller vocabulary for a student that was trained with a larger one."""

from collections.abc import Collection
from pathlib import Path

import onnx
from onnx import numpy_helper
from tokenizers import Tokenizer

from stillhouse.data.vocabulary import truncate_vocabulary


def prune_vocabulary(source: Path, model: Path, tokenizer: Tokenizer, size: int, tables: Collection[str]) -> Tokenizer:
    """Write a copy of the ONNX file ``source`` that has only the first ``size`` word pieces.

    A word whose piece was removed is split into shorter pieces. The student knows these, too.

    Args:
        source: the student's ONNX file.
        model: the ONNX file to write.
        tokenizer: the student's; its word pieces are in order of frequency.
        size: number of word pieces in the smaller vocabulary.
        tables: names of the parameters that have one row for each word piece.

    Returns:
        The tokenizer of the smaller vocabulary.
    """
    graph = onnx.load(source)
    smaller = truncate_vocabulary(tokenizer, size)
    for tensor in graph.graph.initializer:
        if tensor.name in tables:
            rows = numpy_helper.to_array(tensor)[: smaller.get_vocab_size()]
            tensor.CopyFrom(numpy_helper.from_array(rows.copy(), tensor.name))
    onnx.save(graph, model)
    return smaller
