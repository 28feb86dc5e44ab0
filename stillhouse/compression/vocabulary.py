"""A smaller vocabulary for a student that was trained with a larger one."""

from pathlib import Path

import onnx
from onnx import numpy_helper
from tokenizers import Tokenizer

from stillhouse.compression.export import OF_PIECES
from stillhouse.data.vocabulary import truncate_vocabulary


def prune_vocabulary(source: Path, model: Path, tokenizer: Tokenizer, size: int) -> Tokenizer:
    """Write ``source`` without the vectors of all but the first ``size`` word pieces, and return their tokenizer.

    A word whose piece went is read as the shorter pieces that it was made of, which the student knows, too.
    """
    graph = onnx.load(source)
    smaller = truncate_vocabulary(tokenizer, size)
    for tensor in graph.graph.initializer:
        if tensor.name in OF_PIECES:
            rows = numpy_helper.to_array(tensor)[: smaller.get_vocab_size()]
            tensor.CopyFrom(numpy_helper.from_array(rows.copy(), tensor.name))
    onnx.save(graph, model)
    return smaller
