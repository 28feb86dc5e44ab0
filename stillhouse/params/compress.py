"""The section ``compress``."""

from typing import Annotated, Literal

from pydantic import Field

from stillhouse.params.section import Count, OneOf, Positive, Ratio, Section
from stillhouse.registry import names_in

AUTO = "auto"
QUANTISATIONS = (*names_in("stillhouse.compression.quantisations"), "none")


class Compress(Section):
    """Export, a smaller vocabulary, quantisation."""

    vocabulary: Annotated[int, Field(ge=100)] | None = Field(
        description="number of most frequent word pieces that remain; null: all"
    )
    quantisation: Annotated[
        str, OneOf(QUANTISATIONS), Field(description="a file in stillhouse/compression/quantisations, or none")
    ]
    calibration_texts: Annotated[Count, Field(description="int8_static: number of training texts for the calibration")]
    temperature: Positive | Literal["auto"] = Field(
        description="divides the logits; auto: fitted on texts that the student was not trained on; 1: no calibration"
    )
    tolerance: Annotated[
        Ratio, Field(description="accuracy on validation that a step may cost; a step that costs more is refused")
    ]
    parity: Annotated[Ratio, Field(description="least agreement with the trained student")]
    early_exit: Ratio | None = Field(
        description="share of texts that words alone may decide in another way than the whole network; null: no exit"
    )
