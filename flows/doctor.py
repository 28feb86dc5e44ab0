"""``python -m flows.doctor``: what a run needs on this machine, and whether it is there; nothing is changed."""

import importlib.metadata
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from packaging.requirements import Requirement

from flows.shared.http import NoAnswer, ask
from flows.shared.owner import check_name
from stillhouse.data.layout import split_files
from stillhouse.data.sample import sample_teacher, sample_texts
from stillhouse.errors import BadInput, StillhouseError
from stillhouse.evaluation.cases import read_cases
from stillhouse.models.device import choose_device
from stillhouse.params import Params, load_params
from stillhouse.secrets import masked
from stillhouse.tracking.registry import PIPELINE, champion_since
from stillhouse.tracking.runs import last_flow
from stillhouse.tracking.store import connect, tracking_uri
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
    for look in (_remote, _schedule, _last_run, _champion):
        yield _tried(look, params)


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
        ask(address.rstrip("/") + path, ANSWER_S)
    except NoAnswer as error:
        return "fail", f"{name}: {masked(address)} does not answer ({masked(str(error))})"
    return "ok", f"{name}: {masked(address)} answers"


def _remote(params: Params) -> str:
    command = [sys.executable, "-m", "dvc", "config", "core.remote"]
    name = subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    if name:
        return f"DVC's remote: {name}"
    if params.flow.push:
        raise BadInput("flow.push is true, but DVC has no default remote: dvc remote add --default NAME ADDRESS")
    return "DVC's remote: none, outputs are on this machine alone"


def _schedule(params: Params) -> str:
    if not os.environ.get("PREFECT_API_URL"):
        return "schedule: none is served without a Prefect server (docs/schedule.md)"
    from prefect.client.orchestration import get_client  # takes a second, which is wasted elsewhere
    from prefect.exceptions import ObjectNotFound

    name = f"distillation/{params.model_name}"
    try:
        with get_client(sync_client=True) as client:
            deployment = client.read_deployment_by_name(name)
    except ObjectNotFound:
        return f"schedule: {name} is not on the server; python -m flows.schedule serves it"
    except Exception as error:  # told by the look at the server already
        raise BadInput(f"schedule: the server was not asked ({type(error).__name__})") from None
    if deployment.paused or not any(one.active for one in deployment.schedules):
        raise BadInput(f"schedule: {name} is paused; resume it in Prefect's UI")
    if deployment.status != "READY":
        raise BadInput(f"schedule: nothing serves {name} now; start python -m flows.schedule")
    return f"schedule: {name} is served"


def _last_run(params: Params) -> str:
    found = last_flow(params.tracking.experiment) if _tracks() else None
    if found and found[1] == "FAILED":
        raise BadInput(f"last run: {found[0]} failed ({found[2]}); its page in MLflow and Prefect's log say why")
    return "last run: {}, {}, {}".format(*found) if found else "last run: none yet"


def _champion(params: Params) -> str:
    found = None
    if _tracks():
        connect(params.tracking.experiment)
        check_name(params)
        found = champion_since(params.model_name, PIPELINE)
    told = "version {}, made {}".format(*found) if found else "none yet"
    return f"champion of {params.model_name}: {told}"


def _tracks() -> bool:
    """Whether there is a store to ask; asking would make the project's own."""
    uri = tracking_uri()
    return not uri.startswith("sqlite:") or Path(uri.removeprefix("sqlite:///").partition("?")[0]).exists()


def main() -> None:
    """Print the findings; status 1 where one would stop a run."""
    failed = False
    for kind, told in findings():
        print(f"{kind:<5} {told}")
        failed |= kind == "fail"
    sys.exit(int(failed))


if __name__ == "__main__":
    main()
