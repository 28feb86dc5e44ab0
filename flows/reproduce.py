"""``stillhouse reproduce``: train a registered version again and compare digests.

Its parameters and its ``dvc.lock`` come from the registry, its code from Git, and its data from ``data.path``. All
stages run again in ``.stillhouse/reproduce/``, without DVC's cache. The project stays unchanged.
"""

import io
import re
import shutil
import subprocess
import tarfile
from pathlib import Path
from typing import Any

from flows.shared.environment import own_prefect_home

own_prefect_home()  # before the import of Prefect, which reads its settings at import

from prefect import flow
from prefect.runtime import flow_run as runtime
from prefect.states import Failed, State

from flows.shared.arms import run_arm_stage
from flows.shared.running import run_flow
from flows.shared.stopping import command
from flows.shared.workspace import own_cache
from stillhouse.errors import BadInput, StillhouseError
from stillhouse.evaluation.report import as_text
from stillhouse.params import load_params
from stillhouse.params.files import read_yaml
from stillhouse.params.located import write_origin
from stillhouse.pipeline.artefacts import path
from stillhouse.pipeline.inputs import digest_of
from stillhouse.pipeline.links import INPUTS, link_inputs
from stillhouse.pipeline.stages import before
from stillhouse.project import STATE
from stillhouse.provenance import folder_md5
from stillhouse.tracking import registry
from stillhouse.tracking.address import tracking_uri
from stillhouse.tracking.environment import environment
from stillhouse.tracking.runs import flow_run
from stillhouse.tracking.store import connect

END = "evaluate"  # the stages before this one run again


@flow(name="reproduce", flow_run_name="{model}-{version}")
def reproduce(version: int, model: str) -> list[list[str]] | State[Any]:
    """Train version `version` of `model` again. Returns a row for each changed file, and one for the model."""
    try:
        return _reproduce(version, model)
    except StillhouseError as error:
        return Failed(message=str(error))


def _reproduce(number: int, model: str) -> list[list[str]]:
    here = load_params()
    connect(here.tracking.experiment)
    version = registry.get_version(model, number)
    if version is None:
        raise BadInput(f"The registry has no version {number} of {model!r}.")
    if shutil.which("git") is None:
        raise BadInput("git is not installed, and the code of a version is in Git. Install it.")
    folder = STATE / "reproduce" / f"{model}-{number}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    commit = (registry.tag_of(version, "git.commit") or "none").removesuffix("-dirty")
    _extract(commit, folder)
    evidence = registry.fetch_evidence(version, folder / "evidence")
    shutil.copy(evidence / "params.yaml", folder / "params.yaml")
    own_cache(folder)
    write_origin(folder, Path())
    params = load_params(folder / "params.yaml")
    link_inputs(params, folder)
    recorded = read_yaml(evidence / "dvc.lock")
    written = read_yaml(folder / "params.yaml")["data"]  # as written, not as resolved for the copy
    for link, key in (("data", "path"), ("added", "added_labels")):
        _check_data(link, f"data.{key}: {written[key]}", recorded, folder, version.uri)
    store = environment({"MLFLOW_TRACKING_URI": tracking_uri()})
    with store, flow_run(here.tracking.experiment, runtime.name or "reproduce", runtime.id or "") as run:
        run.tags({"stillhouse.reproduces": version.uri})
        for stage in before(END):
            run_arm_stage("again", stage.name, stage.trains, params, folder)
        rows = [*differing(recorded, read_yaml(folder / "dvc.lock"))]
        new = folder_md5(path("compress/model", folder))
        old = registry.tag_of(version, registry.MODEL_TAG)
        rows.append(["the model", "the same" if new == old else "another", "" if new == old else f"{new}, was {old}"])
        run.tags({"stillhouse.reproduced": rows[-1][1]})
    return rows


def _check_data(link: str, named: str, recorded: dict[str, Any], folder: Path, version: str) -> None:
    """Raise BadInput if texts or labels have changed: the result could not be the same after hours of computation."""
    file = folder / INPUTS / link
    for entry in recorded["stages"]["prepare"]["deps"]:
        if folder / entry["path"] == file and (digest := digest_of(file)) != entry["md5"]:
            raise BadInput(
                f"{named} is not the data that {version} was made from (its MD5 is {digest}, was "
                f"{entry['md5']}). Restore that data; nothing was computed."
            )


def differing(then: dict[str, Any], now: dict[str, Any]) -> list[list[str]]:
    """Return the inputs and outputs of stages whose digest differs between two ``dvc.lock``: file, verdict, stage."""
    rows: dict[str, list[str]] = {}
    for stage in before(END):
        old, new = then["stages"].get(stage.name, {}), now["stages"].get(stage.name, {})
        for kind in ("deps", "outs"):
            digests = {entry["path"]: entry.get("md5") for entry in new.get(kind, [])}
            for entry in old.get(kind, []):
                if digests.get(entry["path"]) != entry.get("md5"):
                    word = "read by" if kind == "deps" else "made by"
                    rows.setdefault(entry["path"], [entry["path"], "another", f"{word} {stage.name}"])
    return list(rows.values())


def _extract(commit: str, folder: Path) -> None:
    """Extract the committed files of the project into ``folder``.

    ``commit`` comes from the registry, which others can write to. Only a full digest is passed to Git: another string
    could be an option (``--output=...``).
    """
    if not re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", commit):
        raise BadInput(
            f"The version's tag git.commit is {commit[:80]!r}, which is not a commit: it was registered outside "
            "of Git, or the tag was changed. Without its code the version cannot be trained again."
        )
    done = subprocess.run(["git", "archive", commit], capture_output=True, check=False)
    if done.returncode:
        raise BadInput(
            f"Git has no commit {commit} here ({done.stderr.decode(errors='replace').strip()[:200]}). Fetch it: "
            "it is the code that the version was made with."
        )
    with tarfile.open(fileobj=io.BytesIO(done.stdout)) as archive:
        archive.extractall(folder, filter=_but_inputs)


def _but_inputs(member: tarfile.TarInfo, folder: str) -> tarfile.TarInfo | None:
    """Filter ``data`` without ``inputs/``: it refuses links that leave the folder, and those links are made again."""
    return None if Path(member.name).parts[:1] == INPUTS.parts else tarfile.data_filter(member, folder)


@command
def main(version: int, model: str) -> None:
    """Run the flow once and print the differences.

    Args:
        version: Number of the version.
        model: Registered name; empty for that of params.yaml.

    Raises:
        BadInput: the model was not reproduced byte for byte.
    """
    model = model or load_params().model_name
    rows = run_flow(reproduce, exclusive=False, version=version, model=model)
    print("\n" + as_text([["file", "digest", ""], *rows]))
    if rows[-1][1] != "the same":
        raise BadInput(
            f"{model} version {version} was not reproduced byte for byte. The first difference is at the top. "
            "Another processor or another version of a library also changes the last digits."
        )
    print(f"\n{model} version {version} was reproduced: the same bytes.")


if __name__ == "__main__":
    from flows.cli import main as start

    start("reproduce")
