"""The section ``flow``."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from stillhouse.params.section import Count, Name, NotNegative, Positive, Section
from stillhouse.pipeline.stages import STAGES


class Flow(Section):
    """Limits and retries of the flow; they change no result."""

    when_busy: Annotated[Literal["wait", "fail"], Field(description="if another run is active in this project")]
    notify: Annotated[Name | None, Field(description="a URL or a command that receives failures and refused gates")]
    heartbeat: Annotated[
        Name | None, Field(description="a URL or a command that receives a message after every successful run")
    ]
    push: Annotated[bool, Field(description="dvc push after a run whose student became champion")]
    gpu_slots: Count
    processes: Annotated[
        Count, Field(description="processes of a training or of soft labels, each on its own GPU, or on CPU cores")
    ]
    retries: Annotated[int, Field(ge=0, le=20)]
    retry_delay_s: Annotated[NotNegative, Field(description="before the first retry; doubles with each")]
    timeout_minutes: dict[str, Positive]

    @model_validator(mode="after")
    def _every_stage(self) -> "Flow":
        if unknown := [name for name in self.timeout_minutes if name not in STAGES]:
            raise ValueError(f"flow.timeout_minutes.{unknown[0]} is no stage; there are {', '.join(STAGES)}")
        if missing := [name for name in STAGES if name not in self.timeout_minutes]:
            raise ValueError(f"flow.timeout_minutes lacks {', '.join(missing)}")
        return self
