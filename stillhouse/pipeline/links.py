"""Maintain ``inputs/``: a link, with a constant name, to each local file or folder that ``params.yaml`` names.

``dvc.yaml`` lists these links, since DVC does not expand ``~`` and cannot decide whether ``teacher.model`` is a folder
or a name on a hub. DVC follows a link and takes the digest of its target. Flows and stages update the links. A changed
parameter reruns its stage, so the link is correct when DVC records the dependencies of the stage.
``python -m stillhouse.pipeline.links`` only updates the links.
"""

import os
from contextlib import suppress
from pathlib import Path

from stillhouse.errors import BadInput
from stillhouse.params import Params, load_params
from stillhouse.pipeline.stages import OTHER_TEACHERS

INPUTS = Path("inputs")
NOTHING = "params.yaml names no local file here.\n"


def link_inputs(params: Params, folder: Path = Path()) -> None:
    """Point the links of the project in ``folder`` to the files that ``params``, loaded from there, names.

    If a parameter names no local file, or the file does not exist, a text file that states this replaces the link.

    Raises:
        BadInput: a link cannot be written.
    """
    data, others = params.data, [other.model for other in params.teacher.others]
    _link(folder, "data", _folder(folder, data.hub_id) if data.source == "hub" else data.place)
    _link(folder, "added", data.added_labels)
    teachers = [params.teacher.model, *others, *[None] * (OTHER_TEACHERS - len(others))]
    for number, model in enumerate(teachers, start=1):
        name = "teacher" if number == 1 else f"teacher{number}"
        _link(folder, name, _folder(folder, model) if model != "sample" else None)
    _link(folder, "cases", params.evaluate.cases)
    _link(folder, "labels", params.label.path)
    _link(folder, "prompt", params.label.prompt)


def _folder(base: Path, named: str | None) -> str | None:
    return named if named and os.path.isdir(base / named) else None  # noqa: PTH112, False if access is denied


def _link(folder: Path, name: str, named: str | None) -> None:
    place, partial = folder / INPUTS / name, folder / INPUTS / f".{name}.partial"
    exists = named is not None and os.path.exists(folder / named)  # noqa: PTH110, as above
    target = Path("..", named) if named is not None and exists else None
    try:
        if _target_of(place) == target:
            return
        place.parent.mkdir(exist_ok=True)
        with suppress(FileNotFoundError):
            partial.unlink()
        if target is None:
            partial.write_text(NOTHING, encoding="utf-8")
        else:
            partial.symlink_to(target)
        partial.replace(place)
    except OSError as error:
        raise BadInput(
            f"{place} cannot be made a link ({error.strerror}). Remove what is there; the project's folder must be "
            "writable, on a file system that has symbolic links."
        ) from None


def _target_of(place: Path) -> Path | None:
    """The link's target, None for the text file that replaces a link, and ``place`` itself for anything else."""
    if place.is_symlink():
        return place.readlink()
    return None if place.is_file() and place.read_bytes() == NOTHING.encode() else place


if __name__ == "__main__":
    link_inputs(load_params())
