"""The base class and the types of the sections of ``params.yaml``."""

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
    """Annotation of a ``str`` that must be one of ``names``, such as the names in a registry."""

    names: Sequence[str]

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """The schema of ``Literal[names]``."""
        return core_schema.literal_schema(list(self.names))


def _kind(value: Any) -> str:
    return "schedule" if isinstance(value, dict | Section) else "auto" if value == "auto" else "number"


# A tag for each alternative of a union, so that an error message refers to the alternative that the user wrote.
BY_KIND = Discriminator(_kind)
Auto = Annotated[Literal["auto"], Tag("auto")]


class Section(BaseModel):
    """A group of parameters. Unknown keys are refused, and the values cannot be changed."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    if not TYPE_CHECKING:  # otherwise mypy would accept any attribute

        def __getattr__(self, name: str) -> Any:
            if name in type(self).model_fields:  # stillhouse.params.declared has removed it
                raise AttributeError(f"{type(self).__name__}.{name} is not among the stage's params in dvc.yaml")
            return super().__getattr__(name)
