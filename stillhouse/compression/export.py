"""A student as an ONNX graph."""

import warnings
from pathlib import Path

import onnx
import torch

from stillhouse.models.students.student import Student

OPSET = 17


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
