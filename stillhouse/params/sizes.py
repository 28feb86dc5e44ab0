"""The section ``sizes``: named settings of students, from the smallest to the largest."""

from typing import Annotated

from pydantic import AfterValidator, Field, StringConstraints

from stillhouse.params.devices import CompressChanges, StudentChanges
from stillhouse.params.section import Section

SIZES = "sizes.json"  # the names of the sizes that were too small, in their folder
UNSEEN = ("size", "nfiles")  # DVC's run cache does not see the values of keys with these names in a mapping


def _not_unseen(name: str) -> str:
    if name in UNSEEN:
        raise ValueError(f"sizes.{name}: this name is reserved; choose another one")
    return name


SizeName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$"), AfterValidator(_not_unseen)]


class Size(Section):
    """A size of the student: the keys of ``student`` and ``compress`` that differ."""

    student: StudentChanges = Field(description="keys of student that differ for this size")
    compress: CompressChanges = Field(description="keys of compress that differ for this size")
