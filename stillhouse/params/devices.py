"""The section ``devices`` of ``params.yaml``: kinds of machines, each with a student made for it."""

import re
from typing import Annotated, Any

from pydantic import AfterValidator, Field, StringConstraints

from stillhouse.params.learning import Student
from stillhouse.params.optional import optional
from stillhouse.params.running import Compress
from stillhouse.params.section import Count, NotNegative, Positive, Ratio, Section

StudentChanges: Any = optional(Student)
CompressChanges: Any = optional(Compress)


def _free(name: str) -> str:
    if name in ("champion", "challenger", "latest") or re.fullmatch(r"v\d+", name):
        raise ValueError(f"devices.{name}: {name} is an alias that MLflow or the pipeline has for itself")
    return name


# Also the alias of its registered version.
DeviceName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$"), AfterValidator(_free)]


class Device(Section):
    """What a device bears, and what its student does differently from ``student`` and ``compress``."""

    threads: Annotated[Count, Field(description="that answer one text")]
    min_retention: Annotated[NotNegative, Field(description="student accuracy / teacher accuracy")]
    max_size_mb: Positive
    max_latency_ms: Annotated[Positive, Field(description="one text, median, with these threads")]
    min_class_recall: Ratio | None = Field(
        None, description="least recall of each class with test texts; null: no limit"
    )
    student: StudentChanges = Field(description="keys of student that are different here")
    compress: CompressChanges = Field(description="keys of compress that are different here")
