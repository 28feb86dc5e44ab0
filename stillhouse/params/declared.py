"""Restriction of the parameters to those that a stage declares, because DVC reruns it for no others."""

from collections.abc import Sequence
from typing import Any, TypeVar

from pydantic import BaseModel

# Every stage may read these; no result that DVC stores depends on them.
ALWAYS = ("device", "flow.processes", "scale", "tracking.experiment", "register.name")
Values = TypeVar("Values", bound=BaseModel)


def declared(values: Values, keys: Sequence[str]) -> Values:
    """A copy of ``values`` (all parameters, or a section) that has only the dotted ``keys``.

    Reading another key raises AttributeError (:class:`stillhouse.params.section.Section` names the key).
    """
    copy = values.model_copy()
    for name, field in type(values).model_fields.items():
        key = field.alias or name
        if _is_listed(key, keys):
            copy.__dict__[name] = _part(copy.__dict__[name], key, keys)
        else:
            del copy.__dict__[name]
    return copy


def _is_listed(key: str, keys: Sequence[str]) -> bool:
    return any(one == key or one.startswith(f"{key}.") for one in keys)


def _part(value: Any, key: str, keys: Sequence[str]) -> Any:
    if key in keys:
        return value
    below = [one.removeprefix(f"{key}.") for one in keys if one.startswith(f"{key}.")]
    if isinstance(value, BaseModel):
        return declared(value, below)
    if isinstance(value, dict):
        return {name: _part(inner, name, below) for name, inner in value.items() if _is_listed(name, below)}
    return value
