"""The sections of ``params.yaml`` that say how teacher and student learn."""

from typing import Annotated, Any, Literal, get_args

from pydantic import Discriminator, Field, Tag, model_validator

from stillhouse.params.section import (
    Chance,
    Count,
    Name,
    NotNegative,
    Positive,
    Ratio,
    Section,
    Seed,
    Switch,
)

AUTO_COPIES = 2  # altered copies of each training text where most texts have a label
LossName = Literal["hinton", "mse", "standardised", "dkd", "dist", "features", "minilm"]


def _kind(value: Any) -> str:
    return "schedule" if isinstance(value, dict | Varying) else "auto" if value == "auto" else "number"


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
    revision: Name | None = Field(None, description="hub models: a commit or tag")
    seed: Seed | None = Field(None, description="null: the seed of everything")
    pooling: Literal["auto", "head", "mean", "cls", "max", "mean_sqrt_len_tokens", "weightedmean", "lasttoken"] = Field(
        "auto", description="auto: that of a sentence encoder, else the checkpoint's own head"
    )
    prompt: str | None = Field("auto", description="text put before each text; auto: the checkpoint's")
    max_length: Annotated[int, Field(ge=4, description="word pieces read of each text")]
    finetune: Annotated[Switch, Field(description="auto: where it is better than a linear probe")] = "auto"
    cotraining: Annotated[int, Field(ge=0, description="rounds in which a bag of words improves the probe")] = 3
    epochs: Positive
    freeze_layers: Annotated[int, Field(ge=0, description="lowest layers left as they are")] = 0
    attention_dropout: Chance = 0.0
    batch_size: Count
    gradient_accumulation: Count = 1
    learning_rate: Positive
    weight_decay: NotNegative = 0.01
    warmup: Annotated[Chance, Field(description="share of the steps")] = 0.1
    checkpoints_per_epoch: Count = 1
    bf16: Switch = "auto"
    compile: Switch = "auto"
    regularise: Literal["none", "reversed", "mutual"] = Field("none", description="by a simple model")
    reversed: Reversed
    mutual: Mutual


class Augment(Section):
    """Texts made from the training texts, for the teacher to label (Tang et al. 2019)."""

    folds: Annotated[
        Annotated[int, Field(ge=0), Tag("number")] | Annotated[Literal["auto"], Tag("auto")],
        Discriminator(_kind),
        Field(description="altered copies of each training text; auto: 2 where most texts have a label, else 0"),
    ]
    mask: Annotated[Ratio, Field(description="share of words replaced by the mask token")]
    drop: Annotated[Ratio, Field(description="share of words left out")]
    ngram: Annotated[Ratio, Field(description="share of copies cut to one run of words")]
    ngram_words: Annotated[int, Field(ge=1, description="the longest run; the shortest is a quarter of it")]

    @property
    def most_copies(self) -> int:
        """The most copies of a training text that ``folds`` may stand for."""
        return AUTO_COPIES if self.folds == "auto" else self.folds

    def copies(self, labelled: int, unlabelled: int) -> int:
        """``folds`` for so many texts with and without a label, with ``auto`` resolved."""
        if self.folds == "auto":
            return AUTO_COPIES if labelled > unlabelled else 0
        return self.folds


class SoftLabels(Section):
    """Teacher and second teachers label the transfer set."""

    batch_size: Annotated[
        Annotated[Count, Tag("number")] | Annotated[Literal["auto"], Tag("auto")],
        Discriminator(_kind),
        Field(description="texts at once; auto: 32, or what is fastest on a GPU"),
    ]
    second_teachers: Annotated[
        int, Field(ge=0, le=8, description="networks like the student that label with the teacher; 0: none")
    ] = 2
    second_weight: Annotated[Ratio, Field(description="of their mean answer, against the teacher's")] = 0.5
    augment: Augment
    relation_words: Annotated[int, Field(ge=0, description="words of each text whose relations are kept")] = 0


class Vocabulary(Section):
    """The student's own word pieces."""

    size: Annotated[int, Field(ge=100)]
    min_frequency: Count
    lowercase: bool


class Wide(Section):
    """The student's branch that reads the whole text as a bag of word pieces and of pairs of neighbours."""

    size: Annotated[int, Field(ge=0, description="of a piece's or pair's vector; 0: no such branch")]
    buckets: Annotated[int, Field(ge=1, description="that pairs are hashed into")]
    dropout: Annotated[Chance, Field(description="share of texts whose whole branch is unseen in a step")]
    max_length: Annotated[int, Field(ge=4, description="word pieces read of each text")]


class Network(Section):
    """The student's architecture."""

    architecture: Literal["resnet", "vgg", "bilstm", "transformer"]
    max_length: Annotated[int, Field(ge=4, description="word pieces read of each text")]
    embedding: Count
    width: Count
    depth: Annotated[int, Field(ge=1, le=12, description="residual blocks, VGG stages or layers")]
    heads: Annotated[Count, Field(description="transformer: attention heads")] = 4
    pooling: Literal["mean", "max", "mean_max", "attention"] = "mean_max"
    bag: Annotated[bool, Field(description="the mean word vector joins the pooled states")] = True
    wide: Wide
    dropout: Chance
    word_dropout: Annotated[Chance, Field(description="share of word pieces unseen in each step")] = 0.0
    initialisation: Literal["kaiming", "xavier", "orthogonal"]

    @property
    def reads(self) -> int:
        """Word pieces of each text that any part of the network reads."""
        return max(self.max_length, self.wide.max_length) if self.wide.size else self.max_length

    @model_validator(mode="after")
    def _heads_divide(self) -> "Network":
        if self.architecture == "transformer" and self.width % self.heads:
            raise ValueError(f"student.network.width ({self.width}) must be a multiple of heads ({self.heads})")
        return self


class Training(Section):
    """How a student (and the control) is trained."""

    seed: Seed | None = Field(None, description="null: the seed of everything")
    epochs: Count
    min_updates: Annotated[int, Field(ge=0, description="as many more epochs as few texts need")] = 0
    batch_size: Count
    learning_rate: Positive
    weight_decay: NotNegative
    warmup: Annotated[Chance, Field(description="share of the steps")]
    clip_norm: Positive
    average: Annotated[Chance, Field(description="decay of the moving average of weights; 0: none")] = 0.0


class Varying(Section):
    """A number that changes during training."""

    start: NotNegative
    end: NotNegative
    shape: Literal["linear", "cosine"]


# A tag each, so that a message speaks of what the user wrote and not of every alternative.
Schedule = Annotated[Varying, Tag("schedule")]
ByKind = Discriminator(_kind)


class Student(Section):
    """The small classifier and what it learns from."""

    vocabulary: Vocabulary
    network: Network
    training: Training
    start: Literal["teacher", "random"] = Field(description="of the embeddings, and a transformer's layers")
    losses: dict[LossName, Positive] = Field(description="names and weights")
    alpha: Annotated[Annotated[Ratio, Tag("number")] | Annotated[Literal["auto"], Tag("auto")] | Schedule, ByKind] = (
        Field(description="weight of the soft targets; auto: decided on validation")
    )
    temperature: Annotated[Annotated[Positive, Tag("number")] | Schedule, ByKind] = Field(
        description="softens the teacher's predictions"
    )
    folds: Annotated[int, Field(ge=0)] | None = Field(None, description="augmented copies used; null: all")
    generations: Annotated[int, Field(ge=1)] = Field(
        description="students, each of which teaches the next one's teacher"
    )

    @model_validator(mode="after")
    def _consistent(self) -> "Student":
        if not self.losses:
            raise ValueError(f"student.losses is empty; name one or more of {', '.join(get_args(LossName))}")
        if "minilm" in self.losses and self.network.architecture != "transformer":
            raise ValueError(
                f"student.losses.minilm compares attention, which student.network.architecture: "
                f"{self.network.architecture} has none of; use the transformer, or another loss"
            )
        if isinstance(self.alpha, Varying) and max(self.alpha.start, self.alpha.end) > 1:
            raise ValueError(f"student.alpha must stay within 0 and 1, but is {self.alpha.start} to {self.alpha.end}")
        if isinstance(self.temperature, Varying) and min(self.temperature.start, self.temperature.end) <= 0:
            raise ValueError(
                f"student.temperature must stay above 0, but is {self.temperature.start} to {self.temperature.end}"
            )
        return self
