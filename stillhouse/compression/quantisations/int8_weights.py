"""``int8_weights``: all matrices as 8-bit integers, and calculations in float32."""

from pathlib import Path

import numpy as np
import onnx
from onnx import ModelProto, TensorProto, helper, numpy_helper

from stillhouse.compression.integers import rounded, scale_of
from stillhouse.compression.quantisations import Batches
from stillhouse.models.students.network import TextNetwork
from stillhouse.registry import register

LEAST = 4096  # numbers in a matrix; a smaller one has few bytes


@register
def int8_weights(source: Path, file: Path, batches: Batches, network: TextNetwork) -> None:
    """Store each matrix in 8-bit integers, with a scale for each of its columns (of a table: for each row).

    onnxruntime multiplies them out when it loads the file. So the file is small, a prediction takes as long as in
    float32, and it does not depend on the other texts of its batch. For transformers, whose activations lose more.
    """
    model = onnx.load(source)
    tables = {node.input[0] for node in model.graph.node if node.op_type == "Gather"}
    for tensor in list(model.graph.initializer):
        if tensor.data_type == TensorProto.FLOAT and len(tensor.dims) == 2 and np.prod(tensor.dims) >= LEAST:
            _replace(model, tensor, axis=0 if tensor.name in tables else 1)
    onnx.save(model, file)


def _replace(model: ModelProto, tensor: TensorProto, axis: int) -> None:
    values, name = numpy_helper.to_array(tensor), tensor.name
    scale = scale_of(np.abs(values).max(1 - axis, keepdims=True))
    model.graph.initializer.remove(tensor)
    model.graph.initializer.extend(
        [
            numpy_helper.from_array(rounded(values, scale), f"{name}_int8"),
            numpy_helper.from_array(scale.astype(np.float32).squeeze(1 - axis), f"{name}_scale"),
        ]
    )
    model.graph.node.insert(
        0,
        helper.make_node(
            "DequantizeLinear", [f"{name}_int8", f"{name}_scale"], [name], f"{name}_dequantised", axis=axis
        ),
    )
