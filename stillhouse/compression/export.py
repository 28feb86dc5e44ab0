"""A student as an ONNX graph, and its int8 form."""

import logging
import warnings
from pathlib import Path

import onnx
import torch
from onnxruntime.quantization import QuantType, quantize_dynamic

from stillhouse.models.students.student import Student

OPSET = 17
# ConvInteger runs at a quarter of the speed of a float convolution on x86 (onnxruntime 1.32), and quantising
# a layer's input over the whole batch would make a text's answer depend on its neighbours. The embedding is
# most of the bytes and is only looked up: it alone becomes int8.
QUANTISED_OPERATORS = ["Gather"]


def export_onnx(student: Student, file: Path) -> None:
    """Write ``file``: input ``ids`` int64 (batch, length), 0 for padding; output ``logits`` (batch, classes)."""
    example = torch.ones((2, 16), dtype=torch.int64)
    with warnings.catch_warnings():
        # The newer exporter needs onnxscript and writes the source's paths into the file.
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.onnx.export(
            student.network.eval(),
            (example,),
            str(file),
            input_names=["ids"],
            output_names=["logits"],
            dynamic_axes={"ids": {0: "batch", 1: "length"}, "logits": {0: "batch"}},
            opset_version=OPSET,
            dynamo=False,
        )
    onnx.checker.check_model(str(file), full_check=True)


def quantise_int8(source: Path, file: Path) -> None:
    """Write ``source`` with its embedding in int8 (dynamic quantisation; a fourth of the bytes)."""
    logging.disable(logging.WARNING)  # it recommends a pre-processing step for image models
    try:
        quantize_dynamic(source, file, op_types_to_quantize=QUANTISED_OPERATORS, weight_type=QuantType.QInt8)
    finally:
        logging.disable(logging.NOTSET)
