"""The section ``student``."""

from typing import Annotated, Literal

from pydantic import Field, Tag, model_validator

from stillhouse.params.section import (
    BY_KIND,
    Auto,
    Chance,
    Count,
    Name,
    NotNegative,
    OneOf,
    Positive,
    Ratio,
    Section,
    Seed,
)
from stillhouse.registry import names_in

ARCHITECTURES = names_in("stillhouse.models.students.architectures")
WHOLE = "teacher"  # the teacher itself
ATTENTION_STUDENTS = ("transformer",)  # those whose class has ``attends``
LOSSES = names_in("stillhouse.distillation.losses")
RELATION_LOSSES = ("minilm",)  # those marked ``@compares("relations")``


class Vocabulary(Section):
    """The student's own word pieces."""

    pieces: Annotated[int, Field(ge=100, description="most word pieces")]
    min_frequency: Count
    lowercase: bool


class Wide(Section):
    """The student's branch that reads the whole text as a bag of word pieces and of pairs of neighbours."""

    embedding: Annotated[int, Field(ge=0, description="size of the vector of a piece or pair; 0: no wide branch")]
    buckets: Annotated[int, Field(ge=1, description="number of buckets that pairs are hashed into")]
    dropout: Annotated[Chance, Field(description="dropout probability of the whole branch, for each text")]
    max_length: Annotated[int, Field(ge=4, description="word pieces read of each text")]


class Network(Section):
    """The student's architecture."""

    architecture: Annotated[
        str,
        OneOf((*ARCHITECTURES, WHOLE)),
        Field(description="a file in stillhouse/models/students/architectures, or teacher (in sizes alone)"),
    ]
    max_length: Annotated[int, Field(ge=4, description="word pieces read of each text")]
    embedding: Count
    width: Count
    depth: Annotated[int, Field(ge=1, le=12, description="residual blocks, VGG stages or layers")]
    heads: Annotated[Count, Field(description="transformer: attention heads")]
    pooling: Literal["mean", "max", "mean_max", "attention"]
    bag: Annotated[bool, Field(description="the mean word vector joins the pooled states")]
    wide: Wide
    dropout: Chance
    word_dropout: Annotated[
        Chance, Field(description="share of word pieces that are replaced by the unknown piece in each training step")
    ]
    initialisation: Literal["kaiming", "xavier", "orthogonal"]

    @model_validator(mode="after")
    def _reads_something(self) -> "Network":
        if self.architecture == "bag" and not self.bag and not self.wide.embedding:
            raise ValueError(
                "student.network.architecture: bag needs bag: true, or a wide branch (wide.embedding above 0)"
            )
        return self

    @property
    def reads(self) -> int:
        """Word pieces of each text that any part of the network reads."""
        return max(self.max_length, self.wide.max_length) if self.wide.embedding else self.max_length

    @model_validator(mode="after")
    def _heads_divide(self) -> "Network":
        if self.architecture in ATTENTION_STUDENTS and self.width % self.heads:
            raise ValueError(f"student.network.width ({self.width}) must be a multiple of heads ({self.heads})")
        return self


class Training(Section):
    """How a student (and the control) is trained."""

    seed: Seed | None = Field(description="null: the seed of everything")
    epochs: Count
    min_updates: Annotated[
        int, Field(ge=0, description="least number of training steps: with few texts there are more epochs")
    ]
    batch_size: Count
    learning_rate: Positive
    weight_decay: NotNegative
    warmup: Annotated[Chance, Field(description="share of the steps")]
    clip_norm: Positive
    average: Annotated[Chance, Field(description="decay of the moving average of weights; 0: none")]


class Varying(Section):
    """A number that changes during training."""

    start: NotNegative
    end: NotNegative
    shape: Literal["linear", "cosine"]


Schedule = Annotated[Varying, Tag("schedule")]


class Student(Section):
    """The small classifier and what it learns from."""

    size: Name = Field(
        description="one of sizes; custom: the settings of student as they are; auto: the first that passes the gate"
    )
    vocabulary: Vocabulary
    network: Network
    training: Training
    start: Literal["teacher", "random"] = Field(description="of the embeddings, and a transformer's layers")
    losses: dict[Annotated[str, OneOf(LOSSES)], Positive] = Field(
        description="files in stillhouse/distillation/losses, and weights"
    )
    alpha: Annotated[Annotated[Ratio, Tag("number")] | Auto | Schedule, BY_KIND] = Field(
        description="weight of the soft labels; auto: chosen on validation"
    )
    temperature: Annotated[Annotated[Positive, Tag("number")] | Schedule, BY_KIND] = Field(
        description="softens the teacher's predictions"
    )
    folds: Annotated[int, Field(ge=0)] | None = Field(description="augmented copies used; null: all")
    generations: Annotated[int, Field(ge=1)] = Field(
        description="students trained in turn; each but the last retrains its teacher's head"
    )

    @model_validator(mode="after")
    def _consistent(self) -> "Student":
        if not self.losses:
            raise ValueError(f"student.losses is empty; name one or more of {', '.join(LOSSES)}")
        for name in self.losses:
            if name in RELATION_LOSSES and self.network.architecture not in ATTENTION_STUDENTS:
                raise ValueError(
                    f"student.losses.{name} compares attention, which student.network.architecture: "
                    f"{self.network.architecture} does not have; use {' or '.join(ATTENTION_STUDENTS)}, or another loss"
                )
        if isinstance(self.alpha, Varying) and max(self.alpha.start, self.alpha.end) > 1:
            raise ValueError(f"student.alpha must stay within 0 and 1, but is {self.alpha.start} to {self.alpha.end}")
        if isinstance(self.temperature, Varying) and min(self.temperature.start, self.temperature.end) <= 0:
            raise ValueError(
                f"student.temperature must stay above 0, but is {self.temperature.start} to {self.temperature.end}"
            )
        return self
