"""Fewer bits a weight, in four ways, chosen by name."""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_dynamic, quantize_static
from onnxruntime.transformers.float16 import convert_float_to_float16

Batches = Sequence[np.ndarray]
BETWEEN = ("Relu", "Mul", "Add", "Transpose")
APART = ("/pool/", "/bag/", "/wide/", "/head/")  # parts of a student that follow its encoder, or stand beside it


def int8(source: Path, file: Path, batches: Batches) -> None:
    """The embedding alone, weight-only: it is most of the bytes and is only looked up. The rest is as trained."""
    with _quietly():
        quantize_dynamic(source, file, op_types_to_quantize=["Gather"], weight_type=QuantType.QInt8)


def int8_dynamic(source: Path, file: Path, batches: Batches) -> None:
    """All weights; the inputs of matrix products and convolutions are quantised as they come.

    The range is that of the whole batch, so that a text's answer may depend on its neighbours; and onnxruntime's
    integer convolution is slower than its float one (half the speed of the whole student on x86).
    """
    with _quietly():
        quantize_dynamic(source, file, weight_type=QuantType.QInt8)


def int8_static(source: Path, file: Path, batches: Batches) -> None:
    """The embedding, and convolutions and matrix products with their inputs, in ranges seen on ``batches``.

    So is what lies between convolutions, which would else be converted to float32 and back each time (nearly half of
    the network's time). The ranges are fixed, so a text's answer does not depend on its neighbours. The last layer
    stays in float32: it costs next to nothing, and quantised it changed some answers.
    """
    nodes = onnx.load(source, load_external_data=False).graph.node
    convolves = any(node.op_type == "Conv" for node in nodes)
    with _quietly():
        quantize_static(
            source,
            file,
            _Reader(batches),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=["Conv", "MatMul", "Gather", *(BETWEEN if convolves else [])],
            nodes_to_exclude=[node.name for node in nodes if node.op_type in BETWEEN and node.name.startswith(APART)],
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
        )


def fp16(source: Path, file: Path, batches: Batches) -> None:
    """Half-precision weights and arithmetic; for devices that have it (most CPUs convert back and forth)."""
    onnx.save(convert_float_to_float16(onnx.load(source), keep_io_types=True), file)


# A new kind: one function here, one line here, one name in params.Compress.quantisation.
KINDS: dict[str, Callable[[Path, Path, Batches], None]] = {
    "int8": int8,
    "int8_dynamic": int8_dynamic,
    "int8_static": int8_static,
    "fp16": fp16,
}


class _Reader(CalibrationDataReader):
    def __init__(self, batches: Batches) -> None:
        self._left: Iterator[np.ndarray] = iter(batches)

    def get_next(self) -> dict[str, Any] | None:
        batch = next(self._left, None)
        return None if batch is None else {"ids": batch}


@contextmanager
def _quietly() -> Iterator[None]:
    logging.disable(logging.WARNING)  # it recommends a pre-processing step for image models
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)
