"""``int8_dynamic``: all weights, and the inputs with ranges that are computed at run time."""

from pathlib import Path

from onnxruntime.quantization import QuantType, quantize_dynamic

from stillhouse.compression.quantisations import Batches, without_warnings
from stillhouse.models.students.network import TextNetwork
from stillhouse.registry import register


@register
def int8_dynamic(source: Path, file: Path, batches: Batches, network: TextNetwork) -> None:
    """Quantise all weights, and at run time the inputs of matrix products and convolutions.

    A range is that of the whole batch, so a text's prediction can depend on the other texts in its batch. On x86 the
    student has half the speed, because onnxruntime's integer convolution is slower than its float convolution.
    """
    with without_warnings():
        quantize_dynamic(source, file, per_channel=True, weight_type=QuantType.QInt8)
