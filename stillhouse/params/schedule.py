"""The section ``schedule``."""

from typing import Annotated

from pydantic import Field

from stillhouse.params.section import Name, Section


class Schedule(Section):
    """When ``python -m flows.schedule`` starts the flow."""

    cron: Name
    timezone: Name
    refresh: Annotated[bool, Field(description="fetch the data again each time, for a hub dataset that changes")]
