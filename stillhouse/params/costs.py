"""The section ``costs``."""

from pydantic import Field

from stillhouse.params.section import NotNegative, Section


class Costs(Section):
    """Prices in dollars, for the report. null: unknown."""

    cpu_hour: NotNegative | None = Field(description="an hour of the machine that evaluates, on its processor")
    gpu_hour: NotNegative | None = Field(description="an hour of the GPU that trains; null: it trains at cpu_hour")
    thousand_calls: NotNegative | None = Field(description="a thousand calls of the language model")
    thousand_labels: NotNegative | None = Field(description="a thousand labels of people")
    run_hours: NotNegative | None = Field(description="hours that a run takes, for the break-even number of texts")
