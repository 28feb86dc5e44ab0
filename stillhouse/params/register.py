"""The section ``register``."""

from typing import Annotated

from pydantic import Field, StringConstraints

from stillhouse.params.section import Fraction, NotNegative, Positive, Ratio, Section

License = Annotated[
    str,
    StringConstraints(pattern=r"^[a-z0-9][a-z0-9.+-]*$", max_length=60),
    Field(description="as the model card states it, such as apache-2.0 or other; null: not stated"),
]
Language = Annotated[
    str,
    StringConstraints(pattern=r"^([a-z]{2,3}(-[A-Za-z0-9]+)*|multilingual)$", max_length=60),
    Field(description="of the texts, as the model card states it: such as en, or multilingual; null: not stated"),
]


class Register(Section):
    """The registered model and the gate to ``@champion``."""

    name: Annotated[
        str,
        StringConstraints(pattern=r"^[\w()+,-]+$", max_length=100),
        Field(description="of the registered model; auto: made of data.path or data.hub_id"),
    ]
    min_retention: NotNegative
    margin: Annotated[Ratio, Field(description="accuracy by which a new champion may be below the old one")]
    max_size_mb: Positive
    max_latency_ms: Positive
    answered_accuracy: Fraction | None = Field(
        description="least share of right answers among those not deferred, certified on the test texts; null: none"
    )
    answered_agreement: Fraction | None = Field(
        description="the same for agreement with the teacher, which needs no labels; null: none"
    )
    min_cases: Ratio | None = Field(
        description="least share of the cases in evaluate.cases that it must pass; null: no limit"
    )
    min_class_recall: Ratio | None = Field(description="least recall of each class with test texts; null: no limit")
    license: License | None
    language: Language | None
