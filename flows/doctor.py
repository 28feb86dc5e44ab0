"""``stillhouse doctor``: check what a run needs on this machine. Changes no file of the project."""

import importlib.metadata
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from packaging.requirements import Requirement

from flows.shared.health import Finding, project_findings
from flows.shared.http import RequestFailed, send_request
from flows.shared.owner import check_name
from stillhouse.data.inspection.counts import FEW_TEXTS
from stillhouse.data.language import check_language, language_warning
from stillhouse.data.readers import open_split, split_files
from stillhouse.data.sample import sample_teacher, sample_texts
from stillhouse.data.splits import read_split
from stillhouse.errors import BadInput, StillhouseError, listed, permission_problem
from stillhouse.evaluation.cases import read_cases
from stillhouse.models.device import choose_device
from stillhouse.params import Params, load_params
from stillhouse.pipeline.artefacts import path
from stillhouse.pipeline.lock import LOCK, holder, is_held
from stillhouse.pipeline.room import needed_bytes, size_of
from stillhouse.secrets import masked
from stillhouse.tracking.address import tracking_uri
from stillhouse.tracking.registry import PIPELINE, champion_and_registration
from stillhouse.tracking.search import last_flow
from stillhouse.tracking.store import connect

TIMEOUT_S = 5.0  # for a server's answer
IMBALANCED = 0.8  # share of the test texts that belong to one class


def findings() -> Iterator[Finding]:
    """Yield the result of each check."""
    yield from _libraries()
    try:
        params = load_params()
    except StillhouseError as error:
        yield "fail", str(error)
        return
    yield "ok", "params.yaml is valid"
    for check in (_data, _teacher, _cases, _device):
        yield _result_of(check, params)
    yield from _language(params)
    yield from _classes()
    yield from _folder()
    yield _server("MLflow", tracking_uri(), "/health")
    yield _server("Prefect", os.environ.get("PREFECT_API_URL", ""), "/health")
    for check in (_remote, _schedule, _last_run, _champion):
        yield _result_of(check, params)


def _libraries() -> Iterator[Finding]:
    yield "ok", f"Python {sys.version.split()[0]}"
    for line in importlib.metadata.requires("stillhouse") or []:
        package = Requirement(line)
        if package.marker and not any(package.marker.evaluate({"extra": extra}) for extra in ("", "train", "pipeline")):
            continue
        try:
            found = importlib.metadata.version(package.name)
        except importlib.metadata.PackageNotFoundError:
            yield "fail", f"{package.name} is not installed: make install"
            continue
        if not package.specifier.contains(found, prereleases=True):
            yield "note", f"{package.name} is {found}; the tested versions are {package.specifier}"


def _result_of(check: Callable[[Params], str], params: Params) -> Finding:
    try:
        return "ok", check(params)
    except StillhouseError as error:
        return "fail", str(error)
    except OSError as error:
        return "fail", permission_problem(error) or str(error)


def _data(params: Params) -> str:
    data = params.data
    if data.source == "hub" and Path(data.hub_id or "").is_dir():
        return f"data: the folder {data.hub_id}"
    if data.source == "hub":
        return f"data: {data.hub_id}, fetched from the hub when a run needs it"
    if data.source == "sample":
        return f"data: the packaged sample, {len(sample_texts()[0]):,} texts"
    if data.source != "files":
        return f"data: {data.path}, read by the source {data.source}"
    files = split_files(Path(data.path), data.unlabelled)
    for split, file in files.items():
        _readable("data.path", file)
        open_split(file, data, split)
    return "data: " + ", ".join(f"{file} ({size_of(file.resolve()) / 1e6:.1f} MB)" for file in files.values())


def _teacher(params: Params) -> str:
    return "teacher: " + "; ".join(_checkpoint(one.model) for one in params.teacher.each)


def _checkpoint(name: str) -> str:
    if name == "sample":
        return f"the packaged MiniLM in {sample_teacher()}"
    if Path(name).is_dir():
        _readable("teacher.model", Path(name))
        if not any((Path(name) / file).exists() for file in ("config.json", "modules.json")):
            raise BadInput(f"teacher.model: the directory {name} has no config.json, so it is not a checkpoint.")
        return f"the folder {name}"
    if name.startswith((".", "~", "/")) or name.count("/") > 1:  # a path, not a name on a hub
        raise BadInput(f"teacher.model: the directory {name} does not exist.")
    return f"{name}, fetched from the hub when a run needs it"


def _readable(key: str, path: Path) -> None:
    if not os.access(path, os.R_OK | (os.X_OK if path.is_dir() else 0)):
        raise BadInput(f"{key}: {path} is not readable. Let this user read it.")


def _language(params: Params) -> Iterator[Finding]:
    """Check the language of the prepared texts, if there are any."""
    prepared = path("train")
    for one in params.teacher.each if prepared.is_file() else []:
        if found := check_language(one, read_split(prepared)):
            good = ("ok", f"the teacher's tokens: {found}")
            yield ("note", language_warning(one, found)) if found.is_doubtful else good


def _cases(params: Params) -> str:
    return f"behaviours: {len(read_cases(Path(params.evaluate.cases)))} in {params.evaluate.cases}"


def _classes() -> Iterator[Finding]:
    """Check the classes of the prepared data: few or no texts, or one class with nearly all texts."""
    try:
        splits = json.loads(path("prepare/card.json").read_text(encoding="utf-8"))["splits"]
        training, test = splits["train"]["labels"], splits["test"]["labels"]
    except (OSError, ValueError, KeyError):  # no prepared data; a damaged file is reported by a run
        return
    if few := sum(training.values()) and [
        f"{name!r} ({count})" for name, count in training.items() if count < FEW_TEXTS
    ]:
        yield "note", f"classes with fewer than {FEW_TEXTS} training texts, too few to learn them well: {listed(few)}"
    if not any(test.values()):
        return (yield "note", "no test text has a label: the report shows agreement with the teacher, not accuracy")
    if untested := [repr(name) for name, count in test.items() if not count]:
        yield "note", f"classes without test texts, which cannot be evaluated: {listed(untested)}"
    name = max(test, key=test.__getitem__)
    if (share := test[name] / max(sum(test.values()), 1)) > IMBALANCED:
        advice = "accuracy hardly depends on the other classes; use macro-F1 and register.min_class_recall"
        yield "note", f"{share:.1%} of the test texts are {name!r}, so {advice}"


def _device(params: Params) -> str:
    return f"device: training runs on {choose_device(params.device).type}"


def _folder() -> Iterator[Finding]:
    free, wanted = shutil.disk_usage(Path()).free, needed_bytes()
    message = f"disk: {free / 1e9:.0f} GB free here; a run takes up to {wanted / 1e9:.1f} GB"
    yield ("ok", message) if free > wanted else ("fail", f"{message}. Free some: stillhouse gc")
    for folder in (Path(), Path("outputs"), Path(".dvc")):
        if folder.exists() and not os.access(folder, os.W_OK):
            yield "fail", f"{folder.resolve()} is not writable"
    yield from project_findings()
    if LOCK.exists() and is_held():
        yield "note", f"a run is in progress: {holder()}"


def _server(name: str, address: str, path: str) -> Finding:
    if not address:
        return "ok", f"{name}: a temporary server for each run"
    if not address.startswith("http"):
        return "ok", f"{name}: {masked(address)}"
    try:
        send_request(address.rstrip("/") + path, TIMEOUT_S)
    except RequestFailed as error:
        return "fail", f"{name}: {masked(address)} does not answer ({masked(str(error))})"
    return "ok", f"{name}: {masked(address)} answers"


def _remote(params: Params) -> str:
    command = [sys.executable, "-m", "dvc", "config", "core.remote"]
    name = subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    if name:
        return f"DVC's remote: {name}"
    if params.flow.push:
        raise BadInput("flow.push is true, but DVC has no default remote: dvc remote add --default NAME ADDRESS")
    return "DVC's remote: none, the outputs are only on this machine"


def _schedule(params: Params) -> str:
    if not os.environ.get("PREFECT_API_URL"):
        return "schedule: none is served without a Prefect server (docs/schedule.md)"
    from prefect.client.orchestration import get_client  # here, since importing it takes a second
    from prefect.exceptions import ObjectNotFound

    name = f"distillation/{params.model_name}"
    try:
        with get_client(sync_client=True) as client:
            deployment = client.read_deployment_by_name(name)
    except ObjectNotFound:
        return f"schedule: {name} is not on the server; `stillhouse serve-schedule` serves it"
    except Exception as error:  # the check of the server reports the reason
        raise BadInput(f"schedule: the server did not answer ({type(error).__name__})") from None
    if deployment.paused or not any(one.active for one in deployment.schedules):
        raise BadInput(f"schedule: {name} is paused; resume it in Prefect's UI")
    if deployment.status != "READY":
        raise BadInput(f"schedule: nothing serves {name} now; start `stillhouse serve-schedule`")
    return f"schedule: {name} is served"


def _last_run(params: Params) -> str:
    found = last_flow(params.tracking.experiment) if _store_exists() else None
    if found and found[1] == "FAILED":
        raise BadInput(f"last run: {found[0]} failed ({found[2]}); see its page in MLflow and Prefect's log")
    return "last run: {}, {}, {}".format(*found) if found else "last run: none yet"


def _champion(params: Params) -> str:
    found = None
    if _store_exists():
        connect(params.tracking.experiment)
        check_name(params)
        found = champion_and_registration(params.model_name, PIPELINE)
    champion = "version {}, registered {}".format(*found) if found else "none yet"
    return f"champion of {params.model_name}: {champion}"


def _store_exists() -> bool:
    """Whether a tracking store exists. A request would create the project's own store."""
    uri = tracking_uri()
    return not uri.startswith("sqlite:") or Path(uri.removeprefix("sqlite:///").partition("?")[0]).exists()


def main() -> None:
    """Print the findings. Exits with status 1 if a check failed."""
    failed = False
    for kind, message in findings():
        print(f"{kind:<5} {message}")
        failed |= kind == "fail"
    sys.exit(int(failed))


if __name__ == "__main__":
    from flows.cli import main as start

    start("doctor")
