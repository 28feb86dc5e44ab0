"""``python -m flows.doctor``: what a run needs on this machine, and whether it is there; nothing is changed."""

import importlib.metadata
import os
import shutil
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

from packaging.requirements import Requirement

from stillhouse.data.layout import split_files
from stillhouse.data.sample import sample_teacher, sample_texts
from stillhouse.errors import StillhouseError
from stillhouse.evaluation.cases import read_cases
from stillhouse.models.device import choose_device
from stillhouse.params import Params, load_params
from stillhouse.secrets import masked
from stillhouse.tracking.store import tracking_uri
from tasks.shared.lock import LOCK, holder, is_held
from tasks.shared.room import needed

ANSWER_S = 5.0
Finding = tuple[str, str]  # "ok", "note" or "fail", and what


def findings() -> Iterator[Finding]:
    """Everything that is looked at, one after the other."""
    yield from _libraries()
    try:
        params = load_params()
    except StillhouseError as error:
        yield "fail", str(error)
        return
    yield "ok", "params.yaml is valid"
    for look in (_data, _teacher, _cases, _device):
        yield _tried(look, params)
    yield from _folder()
    yield _server("MLflow", tracking_uri(), "/health")
    yield _server("Prefect", os.environ.get("PREFECT_API_URL", ""), "/health")


def _libraries() -> Iterator[Finding]:
    yield "ok", f"Python {sys.version.split()[0]}"
    for line in importlib.metadata.requires("stillhouse") or []:
        needed = Requirement(line)
        if needed.marker and not needed.marker.evaluate({"extra": ""}):
            continue
        try:
            found = importlib.metadata.version(needed.name)
        except importlib.metadata.PackageNotFoundError:
            yield "fail", f"{needed.name} is not installed: make install"
            continue
        if not needed.specifier.contains(found, prereleases=True):
            yield "note", f"{needed.name} is {found}; what was tested is {needed.specifier}"


def _tried(look: Callable[[Params], str], params: Params) -> Finding:
    try:
        return "ok", look(params)
    except StillhouseError as error:
        return "fail", str(error)


def _data(params: Params) -> str:
    data = params.data
    if data.source == "hub":
        return f"data: {data.hub_id}, fetched from the hub when a run needs it"
    if data.source == "sample":
        return f"data: the packaged sample, {len(sample_texts()[0]):,} texts"
    files = split_files(Path(data.path), data.unlabelled)
    return "data: " + ", ".join(f"{file} ({file.stat().st_size / 1e6:.1f} MB)" for file in files.values())


def _teacher(params: Params) -> str:
    name = params.teacher.model
    if name == "sample":
        return f"teacher: the packaged MiniLM in {sample_teacher()}"
    if Path(name).is_dir():
        return f"teacher: the folder {name}"
    return f"teacher: {name}, fetched from the hub when a run needs it"


def _cases(params: Params) -> str:
    return f"behaviours: {len(read_cases(Path(params.evaluate.cases)))} in {params.evaluate.cases}"


def _device(params: Params) -> str:
    return f"device: trainings run on {choose_device(params.device).type}"


def _folder() -> Iterator[Finding]:
    free, wanted = shutil.disk_usage(Path()).free, needed()
    told = f"disk: {free / 1e9:.0f} GB free here; a run takes up to {wanted / 1e9:.1f}"
    yield ("ok", told) if free > wanted else ("fail", f"{told}. Free some: stillhouse gc")
    for folder in (Path(), Path("outputs"), Path(".dvc")):
        if folder.exists() and not os.access(folder, os.W_OK):
            yield "fail", f"{folder.resolve()} is not writable"
    if not Path(".dvc").exists():
        yield "fail", "no .dvc here: run from the project's folder"
    if not Path(".git").exists():
        yield "note", "no .git here: runs and models will not name the commit that made them"
    if LOCK.exists() and is_held():
        yield "note", f"a run works on this project: {holder()}"


def _server(name: str, address: str, path: str) -> Finding:
    if not address:
        return "ok", f"{name}: a temporary server for each run"
    if not address.startswith("http"):
        return "ok", f"{name}: {masked(address)}"
    try:
        with urllib.request.urlopen(address.rstrip("/") + path, timeout=ANSWER_S):
            return "ok", f"{name}: {masked(address)} answers"
    except OSError as error:
        return "fail", f"{name}: {masked(address)} does not answer ({error})"


def main() -> None:
    """Print the findings; status 1 where one would stop a run."""
    failed = False
    for kind, told in findings():
        print(f"{kind:<5} {told}")
        failed |= kind == "fail"
    sys.exit(int(failed))


if __name__ == "__main__":
    main()
