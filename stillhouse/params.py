"""``params.yaml`` as one typed, validated model: the only place where a parameter is checked."""

from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from stillhouse.errors import BadInput

Fraction = Annotated[float, Field(gt=0, lt=1)]
Ratio = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]
Name = Annotated[str, StringConstraints(min_length=1, strip_whitespace=True)]
Switch = Literal["auto", True, False]

STAGES = ("prepare", "control", "teacher", "soften", "student", "compress", "evaluate", "register")
StageName = Literal["prepare", "control", "teacher", "soften", "student", "compress", "evaluate", "register"]


class Section(BaseModel):
    """A group of parameters: unknown keys are refused, and nothing changes after reading."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Data(Section):
    """Where the labelled texts come from, and how they are cleaned and split."""

    source: Literal["sample", "files", "hub"] = Field(description="sample, files or hub")
    path: Name = Field(description="files: a CSV, TSV, JSONL or Parquet file, or a folder of splits")
    hub_id: Name | None = Field(None, description="hub: the Hugging Face dataset id")
    hub_config: Name | None = None
    hub_revision: Name | None = Field(None, description="hub: a commit or tag")
    text_column: Name
    label_column: Name
    encoding: Name = "utf-8"
    empty_texts: Literal["error", "drop"] = "error"
    duplicates: Literal["drop", "keep"] = "drop"
    test_fraction: Fraction
    validation_fraction: Fraction

    @model_validator(mode="after")
    def _consistent(self) -> "Data":
        if self.source == "hub" and not self.hub_id:
            raise ValueError("data.source is hub, so data.hub_id must name a dataset")
        if self.test_fraction + self.validation_fraction >= 0.9:
            raise ValueError("data.test_fraction + data.validation_fraction must leave at least 10 % to train on")
        return self


class Teacher(Section):
    """The large classifier and its fine-tuning."""

    model: Name = Field(description="sample, a Hugging Face model id, or a local directory")
    revision: Name | None = Field(None, description="hub models: a commit or tag")
    pooling: Literal["auto", "head", "mean"] = Field("auto", description="auto: mean for sentence encoders")
    max_length: Annotated[int, Field(ge=4, description="word pieces read of each text")]
    epochs: Positive
    freeze_layers: Annotated[int, Field(ge=0, description="lowest layers left as they are")] = 0
    attention_dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    batch_size: Count
    gradient_accumulation: Count = 1
    learning_rate: Positive
    weight_decay: Annotated[float, Field(ge=0)] = 0.01
    warmup: Annotated[float, Field(ge=0, lt=1, description="share of the steps")] = 0.1
    checkpoints_per_epoch: Count = 1
    bf16: Switch = "auto"
    compile: Switch = "auto"


class Soften(Section):
    """The teacher's one pass over the transfer set."""

    batch_size: Count


class Vocabulary(Section):
    """The student's own word pieces."""

    size: Annotated[int, Field(ge=100)]
    min_frequency: Count
    lowercase: bool


class Network(Section):
    """The student's architecture."""

    architecture: Literal["resnet"]
    max_length: Annotated[int, Field(ge=4, description="word pieces read of each text")]
    embedding: Count
    width: Count
    depth: Annotated[int, Field(ge=1, le=12, description="residual blocks")]
    dropout: Annotated[float, Field(ge=0, lt=1)]
    initialisation: Literal["kaiming", "xavier", "orthogonal"]


class Training(Section):
    """How a student (and the control) is trained."""

    epochs: Count
    batch_size: Count
    learning_rate: Positive
    weight_decay: Annotated[float, Field(ge=0)]
    warmup: Annotated[float, Field(ge=0, lt=1, description="share of the steps")]
    clip_norm: Positive


class Student(Section):
    """The small classifier and what it learns from."""

    vocabulary: Vocabulary
    network: Network
    training: Training
    embeddings: Literal["teacher", "random"]
    loss: Literal["hinton"]
    alpha: Annotated[Ratio, Field(description="weight of the soft targets")]
    temperature: Annotated[Positive, Field(description="softens the teacher's predictions")]


class Compress(Section):
    """Export and quantisation."""

    quantisation: Literal["int8", "none"]
    parity: Annotated[Ratio, Field(description="least agreement with the trained student")]


class Evaluate(Section):
    """The comparison on the test set."""

    batch_size: Count
    bootstrap: Annotated[int, Field(ge=100)]
    examples: Annotated[int, Field(ge=0)]


class Register(Section):
    """The registered model and the gate to ``@champion``."""

    name: Annotated[str, StringConstraints(pattern=r"^[^/:.%\"' ]+$")]
    min_retention: Annotated[float, Field(ge=0)]
    max_size_mb: Positive
    max_latency_ms: Positive


class Tracking(Section):
    """MLflow."""

    experiment: Name


class Flow(Section):
    """Limits and retries of the flow; they change no result."""

    gpu_slots: Count
    retries: Annotated[int, Field(ge=0)]
    retry_delay_s: Annotated[float, Field(ge=0)]
    timeout_minutes: dict[StageName, Positive]

    @model_validator(mode="after")
    def _every_stage(self) -> "Flow":
        if missing := [name for name in STAGES if name not in self.timeout_minutes]:
            raise ValueError(f"flow.timeout_minutes lacks {', '.join(missing)}")
        return self


class Schedule(Section):
    """When ``python -m flows.schedule`` starts the flow."""

    cron: Name
    timezone: Name = "UTC"


class Params(Section):
    """All of ``params.yaml``."""

    seed: Annotated[int, Field(ge=0, lt=2**32)]
    device: Annotated[str, StringConstraints(pattern=r"^(auto|cpu|mps|cuda(:\d+)?)$")]
    data: Data
    teacher: Teacher
    soften: Soften
    student: Student
    compress: Compress
    evaluate: Evaluate
    register_: Register = Field(alias="register")
    tracking: Tracking
    flow: Flow
    schedule: Schedule


def load_params(path: Path = Path("params.yaml")) -> Params:
    """Read and check ``params.yaml``.

    Raises:
        BadInput: the file is missing, is not YAML, or a key is unknown, missing or out of range. The
            message has one line for each such key, with its value and what is allowed.
    """
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=_UniqueKeys)
    except FileNotFoundError:
        raise BadInput(f"{path} is missing. Run from the project's folder, or restore the file.") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise BadInput(f"{path} is not valid YAML: {error}") from None
    return check_params(content, str(path))


def check_params(content: Any, where: str) -> Params:
    """Validate parsed parameters; ``where`` names their origin in the message. Raises BadInput."""
    if not isinstance(content, dict):
        raise BadInput(f"{where} must hold keys and values, but holds {type(content).__name__}")
    try:
        return Params.model_validate(content)
    except ValidationError as error:
        raise BadInput("\n".join([f"{where}:", *map(_explain, error.errors())])) from None


def _explain(problem: Any) -> str:
    key = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "extra_forbidden":
        return f"  {key}: unknown key. {_allowed_beside(problem['loc'])}"
    if problem["type"] == "missing":
        return f"  {key}: missing"
    if problem["type"] == "value_error":  # its own message names the keys
        return f"  {problem['msg'].removeprefix('Value error, ')}"
    message = problem["msg"].removeprefix("Input ")
    return f"  {key}: {message}, but is {problem['input']!r}"


def _allowed_beside(location: tuple[Any, ...]) -> str:
    model: Any = Params
    for part in location[:-1]:
        fields = {(field.alias or name): field for name, field in model.model_fields.items()}
        model = fields[part].annotation
    return "Allowed here: " + ", ".join((field.alias or name) for name, field in model.model_fields.items())


class _UniqueKeys(yaml.SafeLoader):
    """A loader that refuses a key given twice; YAML itself would take the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        if twice := {key for key in keys if keys.count(key) > 1}:
            raise yaml.YAMLError(f"line {node.start_mark.line + 1}: {', '.join(map(str, twice))} given twice")
        return super().construct_mapping(node, deep)
