"""What the sections of ``params.yaml`` have in common."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, GetCoreSchemaHandler, StringConstraints, Tag
from pydantic_core import CoreSchema, core_schema

Fraction = Annotated[float, Field(gt=0, lt=1)]
Ratio = Annotated[float, Field(ge=0, le=1)]
Chance = Annotated[float, Field(ge=0, lt=1)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1, lt=2**31)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]
Name = Annotated[str, StringConstraints(min_length=1, strip_whitespace=True)]
Switch = Literal["auto", True, False]


@dataclass(frozen=True)
class OneOf:
    """Annotation of a ``str``: it must be one of ``names``, such as those of a registry."""

    names: Sequence[str]

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """The schema of ``Literal[names]``."""
        return core_schema.literal_schema(list(self.names))


def _kind(value: Any) -> str:
    return "schedule" if isinstance(value, dict | Section) else "auto" if value == "auto" else "number"


# For unions: with a tag for each alternative, a message speaks of the alternative that the user wrote.
BY_KIND = Discriminator(_kind)
Auto = Annotated[Literal["auto"], Tag("auto")]


class Section(BaseModel):
    """A group of parameters: unknown keys are refused, and nothing changes after reading."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    if not TYPE_CHECKING:  # it would let mypy accept any name

        def __getattr__(self, name: str) -> Any:
            if name in type(self).model_fields:  # taken out by stillhouse.params.declared
                raise AttributeError(f"{type(self).__name__}.{name} is not among the stage's params in dvc.yaml")
            return super().__getattr__(name)
