"""Reading and checking ``params.yaml``, with messages that name the key, its value and what is allowed."""

from pathlib import Path
from typing import Annotated, Any, get_args

from pydantic import BaseModel, Field, StringConstraints, ValidationError, model_validator

from stillhouse.errors import BadInput
from stillhouse.params.comparison import Comparison
from stillhouse.params.compress import Compress
from stillhouse.params.costs import Costs
from stillhouse.params.data import Data
from stillhouse.params.devices import Device, DeviceName
from stillhouse.params.evaluate import Evaluate
from stillhouse.params.files import read_yaml
from stillhouse.params.flow import Flow
from stillhouse.params.label import Label
from stillhouse.params.labels import Labels
from stillhouse.params.located import located
from stillhouse.params.naming import AUTO, name_of
from stillhouse.params.optional import applied
from stillhouse.params.register import Register
from stillhouse.params.scale import Scale
from stillhouse.params.schedule import Schedule
from stillhouse.params.section import Section, Seed
from stillhouse.params.sizes import Size, SizeName
from stillhouse.params.soft_labels import SoftLabels
from stillhouse.params.student import RELATION_LOSSES, WHOLE, Student
from stillhouse.params.study import Study
from stillhouse.params.teacher import Teacher
from stillhouse.params.tracking import Tracking

CUSTOM = "custom"  # the size of a student with the settings in the section student
TAGS = {"number", "auto", "schedule"}  # tags of unions (BY_KIND in section.py); messages leave them out


class Params(Section):
    """All of ``params.yaml``."""

    seed: Seed
    device: Annotated[str, StringConstraints(pattern=r"^(auto|cpu|mps|cuda(:\d+)?)$")]
    data: Data
    label: Label
    teacher: Teacher
    soft_labels: SoftLabels
    student: Student
    compress: Compress
    sizes: dict[SizeName, Size]
    evaluate: Evaluate
    costs: Costs
    register_: Register = Field(alias="register")
    devices: dict[DeviceName, Device]
    tracking: Tracking
    flow: Flow
    schedule: Schedule
    comparison: Comparison
    labels: Labels
    study: Study
    scale: Scale

    @model_validator(mode="after")
    def _consistent(self) -> "Params":
        for name in self.student.losses:
            if name in RELATION_LOSSES and not self.soft_labels.relation_words:
                raise ValueError(
                    f"student.losses.{name} needs the teacher's relations: set soft_labels.relation_words, e.g. 32"
                )
        copies = self.soft_labels.augment.most_copies
        if (self.student.folds or 0) > copies:
            raise ValueError(
                f"student.folds is {self.student.folds}, but soft_labels.augment.folds makes {copies} at most"
            )
        if reserved := {AUTO, CUSTOM} & self.sizes.keys():
            raise ValueError(f"sizes.{reserved.pop()}: this name is reserved; choose another one")
        allowed = [AUTO, CUSTOM, *self.sizes]
        if self.student.size not in allowed or (self.student.size == AUTO and not self.sizes):
            raise ValueError(f"student.size must be one of {', '.join(allowed)}, but is {self.student.size!r}")
        return self

    @property
    def model_name(self) -> str:
        """The registered model's name: ``register.name``, or if that is ``auto`` a name that the data gives."""
        return self.register_.name if self.register_.name != AUTO else name_of(self.data)

    def for_size(self, name: str) -> "Params":
        """The parameters for the student of the size ``name``; for ``auto`` and ``custom``, as they are.

        Raises:
            ValidationError: the size's changes contradict other parameters.
        """
        if name in (AUTO, CUSTOM):
            return self
        size, content = self.sizes[name], self.model_dump(by_alias=True)
        student = applied(self.student, size.student) | {"size": name}
        # The vocabulary is learnt once. A size has its first pieces, or all if there are fewer.
        student["vocabulary"]["pieces"] = min(student["vocabulary"]["pieces"], self.student.vocabulary.pieces)
        content["student"] = student
        content["compress"] = applied(self.compress, size.compress)
        return Params.model_validate(content)

    def for_device(self, name: str) -> "Params":
        """The parameters for the student of the device ``name``: its size, then its own changes.

        Raises:
            ValidationError: the device's changes contradict other parameters.
        """
        device = self.devices[name]
        base = self.for_size(device.size or self.student.size)
        content = base.model_dump(by_alias=True)
        content["student"] = applied(base.student, device.student)
        content["compress"] = applied(base.compress, device.compress)
        for key in ("min_retention", "max_size_mb", "max_latency_ms", "min_class_recall"):
            content["register"][key] = getattr(device, key)
        return Params.model_validate(content | {"devices": {}})


def load_params(path: Path = Path("params.yaml")) -> Params:
    """Read and check ``params.yaml``. Paths in the result can be opened from the file's folder.

    Raises:
        BadInput: the file is missing, is not YAML, or a key is unknown, missing or out of range. The
            message has one line for each such key, with its value and what is allowed.
    """
    return located(check_params(read_yaml(path), str(path)), path.parent)


def check_params(content: Any, where: str) -> Params:
    """Validate parsed parameters. ``where`` names their origin in the message. Raises BadInput."""
    if not isinstance(content, dict):
        raise BadInput(f"{where} must hold keys and values, but holds {type(content).__name__}")
    try:
        params = Params.model_validate(content)
    except ValidationError as error:
        raise BadInput("\n".join([f"{where}:", *map(_explain, error.errors())])) from None
    if params.student.network.architecture == WHOLE:
        raise BadInput(f"{where}:\n  student.network.architecture: {WHOLE} is allowed in sizes alone")
    used = params.sizes if params.student.size == AUTO else {params.student.size} & params.sizes.keys()
    problems = [problem for name in used for problem in _problems_of(params, "sizes", name)]
    problems += [problem for name in params.devices for problem in _problems_of(params, "devices", name)]
    if problems:
        raise BadInput("\n".join([f"{where}:", *problems]))
    return params


def _problems_of(params: Params, section: str, name: str) -> list[str]:
    """One line for each contradiction between the changes of a size or a device and other parameters."""
    if section == "devices" and (size := params.devices[name].size) not in (None, CUSTOM, *params.sizes):
        return [f"  devices.{name}.size must be one of {', '.join((CUSTOM, *params.sizes))}, but is {size!r}"]
    try:
        changed = params.for_size(name) if section == "sizes" else params.for_device(name)
    except ValidationError as error:
        return [f"  {section}.{name}.{_explain(problem).strip()}" for problem in error.errors()]
    if section == "devices" and changed.student.network.architecture == WHOLE:
        return [f"  devices.{name}.size: a device cannot have the whole teacher; choose a smaller size"]
    base, learnt = params.student.vocabulary, changed.student.vocabulary
    if learnt.pieces > base.pieces or learnt.model_copy(update={"pieces": base.pieces}) != base:
        return [
            f"  {section}.{name}.student.vocabulary: the vocabulary is learnt once, by student.vocabulary; a "
            f"{section.removesuffix('s')} may only use fewer pieces than its {base.pieces}"
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
