"""Checks for ``stillhouse doctor``: Git, DVC's cache and lock, processes of a killed run. Changes nothing."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from stillhouse.errors import BadInput
from stillhouse.pipeline.dvc_config import cache_folder, dvc_config
from stillhouse.pipeline.leftovers import find_leftovers
from stillhouse.pipeline.links import INPUTS
from stillhouse.pipeline.room import needed_bytes
from stillhouse.pipeline.rwlock import RWLOCK, living_entries
from stillhouse.pipeline.scm import SETTING, in_git

Finding = tuple[str, str]  # "ok", "note" or "fail", and a message


def project_findings() -> Iterator[Finding]:
    """Check the project's folder."""
    yield from _dvc()
    if shutil.which("git") is None:
        yield "note", "git is not installed: runs and models name no commit, and `stillhouse reproduce` cannot work"
    for link in sorted(INPUTS.glob("*")):
        if link.is_symlink() and not link.exists():
            yield "note", f"{link}: its target does not exist; a run or python -m stillhouse.pipeline.links updates it"
    for process in find_leftovers():
        yield "note", f"process {process.pid} was left by a run that was killed: the next run ends it, or kill it"
    if others := living_entries():
        yield "note", f"a run would wait for DVC: {', '.join(others)}. If no DVC works on this project, remove {RWLOCK}"


def _dvc() -> Iterator[Finding]:
    """Check DVC's configuration: whether it needs Git, and its cache."""
    if not Path(".dvc").exists():
        yield "fail", "no .dvc here: run from the project's folder"
        return
    try:
        settings, cache = dvc_config(), cache_folder()
    except BadInput as error:
        yield "fail", str(error)
        return
    if not in_git():
        more = f". DVC needs {SETTING}, which a run sets: dvc config --local {SETTING} true"
        message = "no Git repository here: runs and models will not name the commit that made them"
        yield "note", message + ("" if settings["core"].get("no_scm") else more)
    yield from _cache(cache, ",".join(settings.get("cache", {}).get("type") or ["reflink", "copy"]))


def _cache(cache: Path, kind: str) -> Iterator[Finding]:
    existing = next(place for place in (cache, *cache.parents) if place.exists())
    if not os.access(existing, os.W_OK):
        yield "fail", f"DVC's cache {cache} is not writable"
    elif (free := shutil.disk_usage(existing).free) < needed_bytes():
        yield "fail", f"DVC's cache {cache}: {free / 1e9:.1f} GB are free; a run takes up to {needed_bytes() / 1e9:.1f}"
    elif cache.is_relative_to(Path().resolve()):
        yield "ok", f"DVC's cache: in the project, linked by {kind}"
    else:
        yield (
            "note",
            f"DVC's cache: {cache}, linked by {kind}; others may share it, so `stillhouse gc` does not clean it",
        )
