"""The section ``devices``: kinds of machines, each with its own student."""

import re
from typing import Annotated, Any

from pydantic import AfterValidator, Field, StringConstraints

from stillhouse.params.compress import Compress
from stillhouse.params.optional import optional
from stillhouse.params.section import Count, Name, NotNegative, Positive, Ratio, Section
from stillhouse.params.student import Student

StudentChanges: Any = optional(Student, without=("size",), name="StudentOfSize")
CompressChanges: Any = optional(Compress)


def _not_reserved(name: str) -> str:
    if name in ("champion", "challenger", "latest") or re.fullmatch(r"v\d+", name):
        raise ValueError(f"devices.{name}: {name} is an alias that MLflow or the pipeline uses itself")
    return name


# A device's name is also the alias of its registered version.
DeviceName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$"), AfterValidator(_not_reserved)]


class Device(Section):
    """A device's limits, and the keys of ``student`` and ``compress`` that differ for it."""

    threads: Annotated[Count, Field(description="CPU threads that predict one text")]
    min_retention: Annotated[NotNegative, Field(description="student accuracy / teacher accuracy")]
    max_size_mb: Positive
    max_latency_ms: Annotated[Positive, Field(description="one text, median, with these threads")]
    min_class_recall: Ratio | None = Field(
        None, description="least recall of each class with test texts; null: no limit"
    )
    size: Name | None = Field(description="one of sizes, or custom: the settings of student; null: student.size")
    student: StudentChanges = Field(description="keys of student that differ for this device")
    compress: CompressChanges = Field(description="keys of compress that differ for this device")
