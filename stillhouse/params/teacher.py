"""The section ``teacher``."""

from typing import Annotated, Literal

from pydantic import Field

from stillhouse.params.section import Chance, Count, Name, NotNegative, Positive, Ratio, Section, Seed, Switch


class Reversed(Section):
    """A fixed simple model's predictions as a regulariser of the teacher (Re-KD)."""

    ratio: Annotated[Ratio, Field(description="weight of the simple model's soft predictions")]
    temperature: Annotated[Positive, Field(description="softens both predictions")]


class Mutual(Section):
    """A simple model that learns along with the teacher, each from the other (deep mutual learning)."""

    ratio: Annotated[Ratio, Field(description="weight of the other's soft predictions")]
    temperature: Annotated[Positive, Field(description="softens both predictions")]
    learning_rate: Annotated[Positive, Field(description="of the simple model")]


class Teacher(Section):
    """The large classifier and its fine-tuning."""

    model: Name = Field(description="sample, a Hugging Face model id, or a local directory")
    revision: Name | None = Field(description="hub models: a commit or tag")
    seed: Seed | None = Field(description="null: the seed of everything")
    pooling: Literal["auto", "head", "mean", "cls", "max", "mean_sqrt_len_tokens", "weightedmean", "lasttoken"] = Field(
        description="auto: that of a sentence encoder, else the checkpoint's own head"
    )
    prompt: str | None = Field(description="text put before each text; auto: the checkpoint's")
    max_length: Annotated[int, Field(ge=4, description="word pieces read of each text")]
    finetune: Annotated[Switch, Field(description="auto: where it is better than a linear probe")]
    cotraining: Annotated[int, Field(ge=0, description="rounds in which a bag of words improves the probe")]
    epochs: Positive
    freeze_layers: Annotated[int, Field(ge=0, description="lowest layers that are not trained")]
    attention_dropout: Chance
    batch_size: Count
    gradient_accumulation: Count
    learning_rate: Positive
    weight_decay: NotNegative
    warmup: Annotated[Chance, Field(description="share of the steps")]
    checkpoints_per_epoch: Count
    bf16: Switch
    compile: Switch
    regularise: Literal["none", "reversed", "mutual"] = Field(description="by a simple model")
    reversed: Reversed
    mutual: Mutual
