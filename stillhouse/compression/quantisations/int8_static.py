"""``int8_static``: weights and activations, with ranges calibrated on training texts."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import NodeProto
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

from stillhouse.compression.quantisations import Batches, without_warnings
from stillhouse.compression.quantisations.int8_weights import int8_weights
from stillhouse.models.students.network import TextNetwork
from stillhouse.registry import register

BETWEEN = ("Relu", "Mul", "Add", "Transpose")  # operations between convolutions


@register
def int8_static(source: Path, file: Path, batches: Batches, network: TextNetwork) -> None:
    """Quantise the embedding, the convolutions and the matrix products, with input ranges calibrated on ``batches``.

    - Operations between convolutions are quantised, too, except in ``network.float_parts``. Otherwise the values would
      be converted to float32 and back each time, which took nearly half of the network's time.
    - The ranges are fixed, so a text's prediction does not depend on its batch.
    - The last layer stays in float32: it needs almost no time, and quantising it changed some predictions.
    - Of a transformer, products of two activations stay in float32. ``network.weights_only`` and all other matrices
      that remain are stored as :func:`int8_weights` stores them.
    """
    graph = onnx.load(source, load_external_data=False).graph
    nodes, weights = graph.node, {tensor.name for tensor in graph.initializer}
    apart = tuple(f"/{part}/" for part in network.float_parts)

    def in_float(node: NodeProto) -> bool:
        inside = any(f"/{part}/" in node.name for part in network.weights_only)
        return inside or bool(network.weights_only and weights.isdisjoint(node.input))

    convolves = any(node.op_type == "Conv" for node in nodes)
    with without_warnings():
        quantize_static(
            source,
            file,
            _Reader(batches),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=["Conv", "MatMul", "Gather", *(BETWEEN if convolves else [])],
            nodes_to_exclude=[
                *(node.name for node in nodes if node.op_type in BETWEEN and node.name.startswith(apart)),
                *(node.name for node in nodes if node.op_type == "MatMul" and in_float(node)),
            ],
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
        )
    if network.weights_only:
        int8_weights(file, file, batches, network)


class _Reader(CalibrationDataReader):
    def __init__(self, batches: Batches) -> None:
        self._remaining: Iterator[np.ndarray] = iter(batches)

    def get_next(self) -> dict[str, Any] | None:
        batch = next(self._remaining, None)
        return None if batch is None else {"ids": batch}
