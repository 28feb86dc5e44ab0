"""The section ``labels``."""

from typing import Annotated, Literal

from pydantic import Field

from stillhouse.choices import Choice
from stillhouse.params.section import Section, Seed


class Labels(Section):
    """The arms of ``python -m flows.labels``."""

    counts: Annotated[
        list[Annotated[int, Field(ge=2)] | Literal["all"]], Field(min_length=1, description="labels a class")
    ]
    choose: Choice = Field(
        description="how a further line chooses its texts, as `stillhouse next`; random: no such line"
    )
    draws: Annotated[list[Seed], Field(min_length=1, description="seeds, each of which draws other labels")]
