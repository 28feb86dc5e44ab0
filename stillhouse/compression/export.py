"""Export of a student to ONNX."""

import warnings
from pathlib import Path

import onnx
import torch

from stillhouse.models.students.student import Student

OPSET = 17


def export_onnx(student: Student, file: Path) -> None:
    """Write ``student`` to the ONNX file ``file``.

    The input is ``ids``, int64 of shape ``(batch, length)`` with 0 for padding. The output is ``logits``, of shape
    ``(batch, classes)``.
    """
    example = torch.ones((2, 16), dtype=torch.int64)
    with warnings.catch_warnings():
        # The newer exporter (dynamo) needs onnxscript and writes the paths of the source files into the ONNX file.
        warnings.simplefilter("ignore", DeprecationWarning)
        # One warning for each slice of a network. The file is checked below.
        warnings.filterwarnings("ignore", "Constant folding", UserWarning)
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
