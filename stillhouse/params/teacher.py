"""The section ``teacher``."""

from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, model_validator

from stillhouse.params.optional import applied, optional
from stillhouse.params.section import Chance, Count, Name, NotNegative, Positive, Ratio, Section, Seed, Switch
from stillhouse.pipeline.stages import OTHER_TEACHERS

SHORTEST = 128  # tokens


class Reversed(Section):
    """A fixed simple model's predictions as a regulariser of the teacher (Re-KD)."""

    ratio: Annotated[Ratio, Field(description="weight of the simple model's soft predictions")]
    temperature: Annotated[Positive, Field(description="softens both predictions")]


class Mutual(Section):
    """A simple model that learns along with the teacher, each from the other (deep mutual learning)."""

    ratio: Annotated[Ratio, Field(description="weight of the other's soft predictions")]
    temperature: Annotated[Positive, Field(description="softens both predictions")]
    learning_rate: Annotated[Positive, Field(description="of the simple model")]


class OneTeacher(Section):
    """A large classifier and its training."""

    model: Name = Field(description="sample, a Hugging Face model id, or a local directory")
    revision: Name | None = Field(description="hub models: a commit or tag")
    seed: Seed | None = Field(description="null: the seed of everything")
    pooling: Literal["auto", "head", "mean", "cls", "max", "mean_sqrt_len_tokens", "weightedmean", "lasttoken"] = Field(
        description="auto: that of a sentence encoder, else the checkpoint's own head"
    )
    prompt: str | None = Field(description="text put before each text; auto: the checkpoint's")
    max_length: Annotated[int, Field(ge=4)] | Literal["auto"] = Field(
        description="tokens read of each text; auto: 128, or 256 or 512 where cross-validation shows them to be better"
    )
    finetune: Literal["auto", "never", True, False] = Field(
        description="auto: where it is better than a linear probe; never: a finished classifier with its own head"
    )
    labels: dict[str, Name | None] = Field(
        description="finetune never: class of each checkpoint label whose name is no class; null: left out"
    )
    hypothesis: str = Field(description="finetune never, zero-shot models: sentence with {} for the class")
    cotraining: Annotated[int, Field(ge=0, description="rounds in which a bag of words improves the probe")]
    epochs: Positive
    freeze_layers: Annotated[int, Field(ge=0)] | Literal["auto"] = Field(
        description="lowest layers that are not trained; auto: two thirds of them, at most 4"
    )
    attention_dropout: Chance
    batch_size: Count
    gradient_accumulation: Count
    learning_rate: Positive
    weight_decay: NotNegative
    warmup: Annotated[Chance, Field(description="share of the steps")]
    checkpoints_per_epoch: Count
    bf16: Switch
    compile: Switch
    fsdp: bool = Field(description="fine-tuning divides weights, gradients and optimiser states between the processes")
    regularise: Literal["none", "reversed", "mutual"] = Field(description="by a simple model")
    reversed: Reversed
    mutual: Mutual

    @property
    def tokens(self) -> int:
        """``max_length``, or before one is selected the shortest."""
        return SHORTEST if self.max_length == "auto" else self.max_length

    @model_validator(mode="after")
    def _consistent(self) -> "OneTeacher":
        if self.hypothesis.count("{}") != 1:
            raise ValueError(f"teacher.hypothesis is {self.hypothesis!r}, but must have {{}} once, for the class")
        if self.fsdp and self.finetune in ("never", False):
            raise ValueError(f"teacher.fsdp divides fine-tuning, but teacher.finetune is {str(self.finetune).lower()}")
        if self.finetune != "never":
            if self.labels:
                raise ValueError("teacher.labels is for teacher.finetune: never; set that, or labels: {}")
            return self
        if self.pooling not in ("auto", "head"):
            raise ValueError(f"teacher.finetune: never uses the checkpoint's head, but pooling is {self.pooling}")
        if self.regularise != "none":
            raise ValueError(f"teacher.finetune: never trains nothing, but regularise is {self.regularise}")
        return self


# A further teacher is regularised as the first is, by the same hints of the control.
OtherTeacher: Any = optional(OneTeacher, ("regularise", "reversed", "mutual"))


class Teacher(OneTeacher):
    """The large classifier and its training; further ones beside it."""

    others: list[OtherTeacher] = Field(
        max_length=OTHER_TEACHERS,
        description="further teachers: the keys of teacher that differ; the answers of all are averaged",
    )
    weights: Literal["auto"] | list[NotNegative] = Field(
        description="of the teacher and of others, in this order; auto: lowest cross-validated log loss"
    )

    @model_validator(mode="after")
    def _several(self) -> "Teacher":
        count = 1 + len(self.others)
        _ = self.each  # raises ValueError if an entry contradicts itself
        if self.weights != "auto" and (len(self.weights) != count or not sum(self.weights)):
            raise ValueError(
                f"teacher.weights is {self.weights}, but must be auto or one number for each of {count} teachers"
            )
        return self

    @property
    def each(self) -> list[OneTeacher]:
        """The settings of every teacher, this one first.

        An entry of ``others`` has the values of this section for the keys that it leaves out. ``labels``, and
        ``revision`` if it names another model, belong to the model and are not taken over.

        Raises:
            ValueError: the keys of an entry contradict each other.
        """
        own = {name: getattr(self, name) for name in OneTeacher.model_fields}
        result = [OneTeacher.model_construct(**own)]
        for number, other in enumerate(self.others):
            content = applied(result[0], other)
            content["labels"] = other.labels or {}
            content["revision"] = other.revision if other.model else content["revision"]
            if other.fsdp is None and content["finetune"] in ("never", False):
                content["fsdp"] = False
            content["regularise"] = "none" if content["finetune"] == "never" else content["regularise"]
            try:
                result.append(OneTeacher.model_validate(content))
            except ValidationError as error:
                text = error.errors()[0]["msg"].removeprefix("Value error, ")
                raise ValueError(f"teacher.others, entry {number + 1}: {text}") from None
        return result
