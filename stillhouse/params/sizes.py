"""The section ``sizes``: named settings of students, from the smallest to the largest."""

from typing import Annotated

from pydantic import Field, StringConstraints

from stillhouse.params.devices import CompressChanges, StudentChanges
from stillhouse.params.section import Section

SIZES = "sizes.json"  # the names of the sizes that were too small, in their folder
SizeName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$")]


class Size(Section):
    """A size of the student: the keys of ``student`` and ``compress`` that differ."""

    student: StudentChanges = Field(description="keys of student that differ for this size")
    compress: CompressChanges = Field(description="keys of compress that differ for this size")
