"""``inputs/``: a link to each local file or folder that ``params.yaml`` names, under a path that never changes.

``dvc.yaml`` lists these links, since DVC knows neither ``~`` nor that ``teacher.model`` may be a folder or a name on a
hub. DVC follows a link and takes the digest of what it leads to. Flows and stages bring the links up to date; a changed
parameter reruns its stage, so the link is right when DVC records what the stage depends on.
``python -m stillhouse.pipeline.links`` brings them up to date alone.
"""

import os
from contextlib import suppress
from pathlib import Path

from stillhouse.errors import BadInput
from stillhouse.params import Params, load_params

INPUTS = Path("inputs")
NOTHING = "params.yaml names no local file here.\n"


def link_inputs(params: Params, folder: Path = Path()) -> None:
    """Let the links in the project in ``folder`` lead to what ``params``, loaded from there, name.

    Where nothing local is named, or it does not exist, a file that says so is in the link's place.

    Raises:
        BadInput: a link cannot be written.
    """
    data, teacher = params.data, params.teacher.model
    _link(folder, "data", _folder(folder, data.hub_id) if data.source == "hub" else data.place)
    _link(folder, "teacher", _folder(folder, teacher) if teacher != "sample" else None)
    _link(folder, "cases", params.evaluate.cases)


def _folder(base: Path, named: str | None) -> str | None:
    return named if named and os.path.isdir(base / named) else None  # noqa: PTH112, False where it cannot be entered


def _link(folder: Path, name: str, named: str | None) -> None:
    place, partial = folder / INPUTS / name, folder / INPUTS / f".{name}.partial"
    there = named is not None and os.path.exists(folder / named)  # noqa: PTH110, as above
    target = Path("..", named) if named is not None and there else None
    try:
        if _leads_to(place) == target:
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


def _leads_to(place: Path) -> Path | None:
    """The link's target, None for the file that stands for nothing, and ``place`` itself for anything else."""
    if place.is_symlink():
        return place.readlink()
    return None if place.is_file() and place.read_bytes() == NOTHING.encode() else place


if __name__ == "__main__":
    link_inputs(load_params())
