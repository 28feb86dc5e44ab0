"""The section ``scale``."""

from typing import Literal

from pydantic import Field

from stillhouse.params.section import Name, Section


class Scale(Section):
    """Where ``stillhouse score`` labels the files of a folder, and the stage ``soft_labels`` the transfer set."""

    runner: Literal["local", "ray"]
    address: Name | None = Field(description="of a Ray cluster")
