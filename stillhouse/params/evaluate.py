"""The section ``evaluate``."""

from typing import Annotated

from pydantic import Field

from stillhouse.params.section import Count, Name, Section


class Evaluate(Section):
    """The comparison on the test set."""

    batch_size: Count
    bootstrap: Annotated[int, Field(ge=100)]
    examples: Annotated[int, Field(ge=0)]
    cases: Annotated[Name, Field(description="a CSV file of behaviours: text, and label or same_as")]
