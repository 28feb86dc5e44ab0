"""Reading and checking ``params.yaml``, with messages that name the key, its value and what is allowed."""

from pathlib import Path
from typing import Annotated, Any, get_args

from pydantic import BaseModel, Field, StringConstraints, ValidationError, model_validator

from stillhouse.errors import BadInput
from stillhouse.params.devices import Device, DeviceName
from stillhouse.params.files import read_yaml
from stillhouse.params.learning import SoftLabels, Student, Teacher
from stillhouse.params.located import located
from stillhouse.params.naming import AUTO, name_of
from stillhouse.params.optional import applied
from stillhouse.params.running import (
    Comparison,
    Compress,
    Data,
    Evaluate,
    Flow,
    Labels,
    Register,
    Schedule,
    Study,
    Tracking,
)
from stillhouse.params.section import Section, Seed

TAGS = {"number", "auto", "schedule"}  # of the union that alpha and temperature are


class Params(Section):
    """All of ``params.yaml``."""

    seed: Seed
    device: Annotated[str, StringConstraints(pattern=r"^(auto|cpu|mps|cuda(:\d+)?)$")]
    data: Data
    teacher: Teacher
    soft_labels: SoftLabels
    student: Student
    compress: Compress
    evaluate: Evaluate
    register_: Register = Field(alias="register")
    devices: dict[DeviceName, Device]
    tracking: Tracking
    flow: Flow
    schedule: Schedule
    comparison: Comparison
    labels: Labels
    study: Study

    @model_validator(mode="after")
    def _consistent(self) -> "Params":
        if "minilm" in self.student.losses and not self.soft_labels.relation_words:
            raise ValueError(
                "student.losses.minilm needs the teacher's relations: set soft_labels.relation_words, e.g. 32"
            )
        copies = self.soft_labels.augment.most_copies
        if (self.student.folds or 0) > copies:
            raise ValueError(
                f"student.folds is {self.student.folds}, but soft_labels.augment.folds makes {copies} at most"
            )
        return self

    @property
    def model_name(self) -> str:
        """The registered model's name: ``register.name``, or one made of the data where that is ``auto``."""
        return self.register_.name if self.register_.name != AUTO else name_of(self.data)

    def for_device(self, name: str) -> "Params":
        """The parameters by which the student of the device ``name`` is made.

        Raises:
            ValidationError: the device's changes do not go with the rest.
        """
        device, content = self.devices[name], self.model_dump(by_alias=True)
        content["student"] = applied(self.student, device.student)
        content["compress"] = applied(self.compress, device.compress)
        for key in ("min_retention", "max_size_mb", "max_latency_ms", "min_class_recall"):
            content["register"][key] = getattr(device, key)
        return Params.model_validate(content | {"devices": {}})


def load_params(path: Path = Path("params.yaml")) -> Params:
    """Read and check ``params.yaml``; paths in it can be opened from its folder.

    Raises:
        BadInput: the file is missing, is not YAML, or a key is unknown, missing or out of range. The
            message has one line for each such key, with its value and what is allowed.
    """
    return located(check_params(read_yaml(path), str(path)), path.parent)


def check_params(content: Any, where: str) -> Params:
    """Validate parsed parameters; ``where`` names their origin in the message. Raises BadInput."""
    if not isinstance(content, dict):
        raise BadInput(f"{where} must hold keys and values, but holds {type(content).__name__}")
    try:
        params = Params.model_validate(content)
    except ValidationError as error:
        raise BadInput("\n".join([f"{where}:", *map(_explain, error.errors())])) from None
    problems = [problem for name in params.devices for problem in _problems_of(params, name)]
    if problems:
        raise BadInput("\n".join([f"{where}:", *problems]))
    return params


def _problems_of(params: Params, device: str) -> list[str]:
    """What does not go together once the device's changes are made."""
    try:
        learnt = params.for_device(device).student.vocabulary
    except ValidationError as error:
        return [f"  devices.{device}.{_explain(problem).strip()}" for problem in error.errors()]
    base = params.student.vocabulary
    if learnt.size > base.size or learnt.model_copy(update={"size": base.size}) != base:
        return [
            f"  devices.{device}.student.vocabulary: the vocabulary is learnt once, by student.vocabulary; a device "
            f"may only use a smaller size than its {base.size}"
        ]
    return []


def _explain(problem: Any) -> str:
    first, *others = problem["loc"] or [""]
    location = [first, *(part for part in others if part not in TAGS)]
    key = ".".join(str(part) for part in location)
    if problem["type"] == "extra_forbidden":
        return f"  {key}: unknown key. {_allowed_beside(location)}"
    if problem["type"] == "missing":
        return f"  {key}: missing"
    if problem["type"] == "value_error":  # its own message names the keys
        return f"  {problem['msg'].removeprefix('Value error, ')}"
    message = problem["msg"].removeprefix("Input ")
    quotes = problem["type"] == "string_type" and not isinstance(problem["input"], dict | list)
    return f"  {key}: {message}, but is {problem['input']!r}{' (put it in quotes)' if quotes else ''}"


def _allowed_beside(location: list[Any]) -> str:
    model: Any = Params
    for part in location[:-1]:
        fields = {(field.alias or name): field for name, field in model.model_fields.items()}
        if part in fields:  # else the name of a device
            model = next(kind for kind in _kinds(fields[part].annotation) if issubclass(kind, BaseModel))
    return "Allowed here: " + ", ".join((field.alias or name) for name, field in model.model_fields.items())


def _kinds(annotation: Any) -> list[type]:
    """The classes that an annotation names, through unions and ``Annotated``."""
    if isinstance(annotation, type) and not get_args(annotation):
        return [annotation]
    return [kind for part in get_args(annotation) for kind in _kinds(part)]
