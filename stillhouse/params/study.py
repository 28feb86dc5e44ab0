"""The section ``study``."""

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from stillhouse.params.section import Count, Name, Section


class Study(Section):
    """The search of ``python -m flows.study``."""

    trials: Count
    workers: Annotated[Count, Field(description="trials at once, at most flow.gpu_slots")]
    runner: Literal["threads", "processes", "dask", "ray"]
    address: Name | None = Field(description="of a Dask or Ray cluster")
    search: Annotated[dict[str, Any], Field(min_length=1, description="parameters and what to try")]

    @model_validator(mode="after")
    def _searchable(self) -> "Study":
        for key, values in self.search.items():
            if not key.startswith("student."):
                raise ValueError(f"study.search.{key}: a trial trains a student, so only student.* can be searched")
            if key.startswith("student.vocabulary"):
                raise ValueError(f"study.search.{key}: the vocabulary is learnt once, by the control stage")
            ranged = isinstance(values, dict) and {"low", "high"} <= values.keys() <= {"low", "high", "log"}
            if not ranged and not (isinstance(values, list) and values):
                raise ValueError(f"study.search.{key} must be a list, or low and high (and log), but is {values!r}")
            if ranged and not values["low"] < values["high"]:
                raise ValueError(f"study.search.{key}: low ({values['low']}) must be below high ({values['high']})")
        return self
