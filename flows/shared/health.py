"""For ``stillhouse doctor``: Git, DVC's cache and lock, and what a killed run left; nothing is changed."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from stillhouse.errors import BadInput
from stillhouse.pipeline.dvc_config import cache_folder, dvc_config
from stillhouse.pipeline.leftovers import left_over
from stillhouse.pipeline.links import INPUTS
from stillhouse.pipeline.room import needed
from stillhouse.pipeline.rwlock import RWLOCK, entries_of_others
from stillhouse.pipeline.scm import SETTING, in_git

Finding = tuple[str, str]  # "ok", "note" or "fail", and what


def project_findings() -> Iterator[Finding]:
    """The state of the project's folder, beside its parameters."""
    yield from _dvc()
    if shutil.which("git") is None:
        yield "note", "git is not installed: runs and models name no commit, and `stillhouse reproduce` cannot work"
    for link in sorted(INPUTS.glob("*")):
        if link.is_symlink() and not link.exists():
            yield "note", f"{link} leads to nothing; a run renews it, and so does python -m stillhouse.pipeline.links"
    for process in left_over():
        yield "note", f"process {process.pid} was left by a run that was killed: the next run ends it, or kill it"
    if others := entries_of_others():
        told = ", ".join(others)
        yield "note", f"a run would wait for DVC: {told}. If no DVC works on this project, remove {RWLOCK}"


def _dvc() -> Iterator[Finding]:
    """Its configuration: whether Git is needed and there, and the cache."""
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
        told = "no Git repository here: runs and models will not name the commit that made them"
        yield "note", told + ("" if settings["core"].get("no_scm") else more)
    yield from _cache(cache, ",".join(settings.get("cache", {}).get("type") or ["reflink", "copy"]))


def _cache(cache: Path, kind: str) -> Iterator[Finding]:
    there = next(place for place in (cache, *cache.parents) if place.exists())
    if not os.access(there, os.W_OK):
        yield "fail", f"DVC's cache {cache} is not writable"
    elif (free := shutil.disk_usage(there).free) < needed():
        yield "fail", f"DVC's cache {cache}: {free / 1e9:.1f} GB are free; a run takes up to {needed() / 1e9:.1f}"
    elif cache.is_relative_to(Path().resolve()):
        yield "ok", f"DVC's cache: in the project, linked by {kind}"
    else:
        yield "note", f"DVC's cache: {cache}, linked by {kind}; others may share it, so `stillhouse gc` leaves it alone"
