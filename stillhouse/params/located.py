"""Paths in ``params.yaml`` as they can be opened: ``~`` is expanded, and a copied project's paths are resolved."""

import os
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel

ORIGIN = Path(".stillhouse/origin")  # in a copy of a project: has the folder that relative paths start from
# Section, key, and whether the value may also be a name on a hub. A folder of that name has precedence.
PLACES = (
    ("data", "path", False),
    ("data", "hub_id", True),
    ("data", "added_labels", False),
    ("label", "path", False),
    ("label", "prompt", False),
    ("teacher", "model", True),
    ("evaluate", "cases", False),
)
AnyParams = TypeVar("AnyParams", bound=BaseModel)


def write_origin(copy: Path, project: Path) -> None:
    """Record in ``copy`` that relative paths in its ``params.yaml`` start from the folder ``project``."""
    (copy / ORIGIN).parent.mkdir(parents=True, exist_ok=True)
    (copy / ORIGIN).write_text(str(project.resolve()), encoding="utf-8")


def located(params: AnyParams, folder: Path) -> AnyParams:
    """``params`` with every local path as it can be opened from ``folder``, in which they were read.

    ``params.yaml`` itself is not changed, so that DVC finds the same parameters in a project and its copy.
    """
    try:
        origin = Path((folder / ORIGIN).read_text(encoding="utf-8"))
    except OSError:
        origin = None
    sections: dict[str, BaseModel] = {}
    for name, key, hub in PLACES:
        section = sections.get(name, getattr(params, name))
        sections[name] = _opened(section, key, hub, origin)
    teacher: Any = sections["teacher"]
    others = [_opened(other, "model", True, origin) for other in teacher.others]
    sections["teacher"] = teacher.model_copy(update={"others": others})
    return params.model_copy(update=sections)


def _opened(section: BaseModel, key: str, hub: bool, origin: Path | None) -> BaseModel:
    """``section`` with the path ``key`` as it can be opened; a name on a hub does not change."""
    value = getattr(section, key)
    if not isinstance(value, str):
        return section
    path = os.path.expanduser(value)  # noqa: PTH111, does not raise for an unknown user
    if origin is not None:
        path = os.path.normpath(origin / path)
    change = path != value and (not hub or os.path.isdir(path))  # noqa: PTH112, does not raise for a forbidden folder
    return section.model_copy(update={key: path}) if change else section
