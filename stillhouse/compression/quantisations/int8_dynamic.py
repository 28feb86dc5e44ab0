"""``int8_dynamic``: all weights, with ranges of the inputs found at run time."""

from pathlib import Path

from onnxruntime.quantization import QuantType, quantize_dynamic

from stillhouse.compression.quantisations import Batches, without_warnings
from stillhouse.models.students.network import TextNetwork
from stillhouse.registry import register


@register
def int8_dynamic(source: Path, file: Path, batches: Batches, network: TextNetwork) -> None:
    """Quantise all weights, and the inputs of matrix products and convolutions at run time.

    The range is that of the whole batch, so a text's prediction may depend on the other texts in its batch.
    onnxruntime's integer convolution is slower than its float one: the whole student has half the speed on x86.
    """
    with without_warnings():
        quantize_dynamic(source, file, weight_type=QuantType.QInt8)
