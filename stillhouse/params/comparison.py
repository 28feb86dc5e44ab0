"""The section ``comparison``."""

from typing import Annotated, Literal

from pydantic import Field

from stillhouse.params.section import Section, Seed


class Comparison(Section):
    """The arms of ``python -m flows.comparison``."""

    seeds: Annotated[list[Seed], Field(min_length=1)]
    regularise: Annotated[
        Literal["cotraining", "reversed", "mutual"], Field(description="how the simple model improves the teacher")
    ]
