"""``int8``: weights of the embedding alone."""

from pathlib import Path

from onnxruntime.quantization import QuantType, quantize_dynamic

from stillhouse.compression.quantisations import Batches, without_warnings
from stillhouse.models.students.network import TextNetwork
from stillhouse.registry import register


@register
def int8(source: Path, file: Path, batches: Batches, network: TextNetwork) -> None:
    """Quantise the embedding, which has most of the bytes and is only looked up. The rest stays in float32."""
    with without_warnings():
        quantize_dynamic(source, file, op_types_to_quantize=["Gather"], weight_type=QuantType.QInt8)
