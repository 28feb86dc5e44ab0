"""``fp16``: half precision."""

from pathlib import Path

import onnx
from onnxruntime.transformers.float16 import convert_float_to_float16

from stillhouse.compression.quantisations import Batches
from stillhouse.models.students.network import TextNetwork
from stillhouse.registry import register


@register
def fp16(source: Path, file: Path, batches: Batches, network: TextNetwork) -> None:
    """Convert weights and arithmetic to half precision, for devices that have it.

    Most CPUs do not: they convert the values to float32 and back.
    """
    onnx.save(convert_float_to_float16(onnx.load(source), keep_io_types=True), file)
