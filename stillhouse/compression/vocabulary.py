"""A smaller vocabulary for a student that was trained with a larger one."""

from collections.abc import Collection
from pathlib import Path

import onnx
from onnx import numpy_helper
from tokenizers import Tokenizer

from stillhouse.data.vocabulary import truncate_vocabulary


def prune_vocabulary(source: Path, model: Path, tokenizer: Tokenizer, size: int, tables: Collection[str]) -> Tokenizer:
    """Write the ONNX file ``source`` with the first ``size`` word pieces alone to ``model``; return their tokenizer.

    A word whose piece was removed is read as the shorter pieces that made it up, which the student knows, too.

    Args:
        source: the student's ONNX file.
        model: the file to write.
        tokenizer: the student's, whose word pieces are in order of frequency.
        size: word pieces to keep.
        tables: the parameters that have one row for each word piece.
    """
    graph = onnx.load(source)
    smaller = truncate_vocabulary(tokenizer, size)
    for tensor in graph.graph.initializer:
        if tensor.name in tables:
            rows = numpy_helper.to_array(tensor)[: smaller.get_vocab_size()]
            tensor.CopyFrom(numpy_helper.from_array(rows.copy(), tensor.name))
    onnx.save(graph, model)
    return smaller
