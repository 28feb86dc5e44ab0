"""The model registry: versions with their evidence, and the aliases ``challenger``, ``champion`` and ``previous``."""

import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import version as installed
from pathlib import Path
from typing import Any

import mlflow
from mlflow.exceptions import MlflowException
from mlflow.models import ModelSignature
from mlflow.tracking import MlflowClient
from mlflow.types.schema import ColSpec, ParamSchema, ParamSpec, Schema

from stillhouse.errors import BadInput
from stillhouse.tracking.identity import PACKAGE, SERVED, SERVING
from stillhouse.tracking.runs import EVIDENCE, PARENT_RUN, Run
from stillhouse.tracking.store import raising_unavailable

MODEL_TAG, DIGEST_TAG, ROLLED_BACK_TAG = "stillhouse.model_md5", "stillhouse.digest", "stillhouse.rolled_back"
EVIDENCE_TAG = "run.register"
# It has no input schema; mlflow_model.py states why.
SIGNATURE = ModelSignature(
    outputs=Schema([ColSpec("string", "label"), ColSpec("double", "probability"), ColSpec("boolean", "deferred")]),
    params=ParamSchema([ParamSpec("min_confidence", "double", None)]),
)
REQUIREMENTS = ["mlflow", "onnxruntime", "tokenizers", "numpy", "pandas"]


@dataclass(frozen=True)
class Aliases:
    """The names of three aliases.

    Attributes:
        challenger: the newest version that is not the champion.
        champion: the last version that was promoted.
        previous: the champion before it.
    """

    challenger: str
    champion: str
    previous: str


PIPELINE = Aliases("challenger", "champion", "previous")


def aliases_of(device: str) -> Aliases:
    """The aliases of a device. The alias of its champion is the device's name."""
    return Aliases(f"{device}-challenger", device, f"{device}-previous")


@dataclass(frozen=True)
class Version:
    """A registered version, the aliases that point to it, and its description (Markdown), with the gate's decision."""

    name: str
    number: int
    aliases: tuple[str, ...]
    description: str = ""

    @property
    def uri(self) -> str:
        """The address for ``mlflow.pyfunc.load_model`` and ``mlflow models serve``."""
        return f"models:/{self.name}/{self.number}"


def find_version(name: str, digest: str) -> Version | None:
    """The newest version with this :func:`~stillhouse.tracking.identity.model_digest`; None if there is none."""
    found = MlflowClient().search_model_versions(f"name = '{name}' and tags.`{DIGEST_TAG}` = '{digest}'")
    return get_version(name, max(int(version.version) for version in found)) if found else None


def get_version(name: str, number: int) -> Version | None:
    """The registered version with its present aliases; None if there is none.

    Raises:
        Unavailable: the registry does not answer.
    """
    found = _unless_missing(lambda: MlflowClient().get_model_version(name, str(number)))
    return found and Version(name, number, tuple(sorted(found.aliases)), found.description or "")


def version_of(name: str, alias: str) -> Version | None:
    """The version that ``@alias`` points to; None if there is none."""
    found = _unless_missing(lambda: MlflowClient().get_model_version_by_alias(name, alias))
    return found and get_version(name, int(found.version))


def _unless_missing(request: Callable[[], Any]) -> Any:
    """The result of ``request``; None if the registry refuses it because the entity does not exist."""
    try:
        with raising_unavailable():
            return request()
    except MlflowException:
        return None


def fetch_model(version: Version, folder: Path) -> Path:
    """Download a version's files (ONNX, tokenizer, configuration) below ``folder``; returns the folder with them."""
    found = mlflow.artifacts.download_artifacts(version.uri, dst_path=str(folder))
    return Path(found) / "artifacts" / "model"


def fetch_evidence(version: Version, folder: Path) -> Path:
    """Download the ``dvc.lock`` and the ``params.yaml`` of a version below ``folder``; returns the folder with both.

    Raises:
        BadInput: the version was registered without them.
    """
    run = tag_of(version, EVIDENCE_TAG)
    try:
        with raising_unavailable():
            return Path(
                mlflow.artifacts.download_artifacts(run_id=run or "", artifact_path=EVIDENCE, dst_path=str(folder))
            )
    except (MlflowException, OSError) as error:
        raise BadInput(
            f"Version {version.number} of {version.name} has no dvc.lock and params.yaml ({str(error)[:200]})."
        ) from None


def register_model(run: Run, model: Path, name: str, examples: list[str], tags: dict[str, str]) -> Version:
    """Log a model with ``run`` and register it as a new version.

    The version has the signature of its output, input examples and the required packages; torch and transformers are
    not among them. Nothing in it is pickled.

    Args:
        run: of the stage.
        model: a folder that the stage ``compress`` wrote.
        name: the registered name.
        examples: texts as input examples.
        tags: of the version.
    """
    length = json.loads((model / "config.json").read_text(encoding="utf-8"))["max_length"]
    with tempfile.TemporaryDirectory() as scratch:
        # A package with these modules alone, under the names by which SERVED imports them.
        package = Path(scratch) / PACKAGE.name
        for module in SERVING:
            copy = package / module.relative_to(PACKAGE)
            copy.parent.mkdir(parents=True, exist_ok=True)
            (copy.parent / "__init__.py").touch()
            shutil.copy(module, copy)
        with mlflow.start_run(run.id):
            logged = mlflow.pyfunc.log_model(
                name=name,
                python_model=str(SERVED),
                artifacts={"model": str(model)},
                code_paths=[str(package)],
                input_example=examples,
                signature=SIGNATURE,
                metadata={"max_length": length, "longer_texts": f"cut after {length} word pieces, as in training"},
                pip_requirements=[f"{package}=={installed(package)}" for package in REQUIREMENTS],
            )
    run.evidence()
    client = MlflowClient()
    with suppress(MlflowException):  # it exists already
        client.create_registered_model(name)
    # MLflow's pages show the version at the flow's run, which has the runs of all stages below it.
    parent = os.environ.get(PARENT_RUN) or run.id
    created = client.create_model_version(
        name, logged.model_uri, parent, tags={**tags, EVIDENCE_TAG: run.id}, model_id=logged.model_id
    )
    return Version(name, int(created.version), ())


def ensure_challenger(version: Version, aliases: Aliases) -> Version:
    """Make a version without an alias the challenger: a new version, or one whose registration was interrupted."""
    if version.aliases:
        return version
    MlflowClient().set_registered_model_alias(version.name, aliases.challenger, str(version.number))
    return Version(version.name, version.number, (aliases.challenger,))


def promote(version: Version, aliases: Aliases) -> None:
    """Make ``version`` the champion and the champion before it ``previous``; ``version`` is no longer challenger."""
    client = MlflowClient()
    before = version_of(version.name, aliases.champion)
    if before is not None and before.number != version.number:
        client.set_registered_model_alias(version.name, aliases.previous, str(before.number))
    client.set_registered_model_alias(version.name, aliases.champion, str(version.number))
    if aliases.challenger in version.aliases:
        client.delete_registered_model_alias(version.name, aliases.challenger)


def champion_and_registration(name: str, aliases: Aliases) -> tuple[int, str] | None:
    """The number of the present champion and the time of its registration (local time); None if there is none."""
    if (version := version_of(name, aliases.champion)) is None:
        return None
    made = MlflowClient().get_model_version(name, str(version.number)).creation_timestamp
    return version.number, time.strftime("%Y-%m-%d %H:%M", time.localtime(made / 1000))


def roll_back(name: str, aliases: Aliases) -> tuple[Version, Version]:
    """Swap champion and previous. Only another call promotes the replaced champion again.

    Returns:
        The new champion and the replaced champion.

    Raises:
        BadInput: there is no champion, or no previous champion.
    """
    now, before = (version_of(name, alias) for alias in (aliases.champion, aliases.previous))
    if now is None or before is None:
        missing = aliases.champion if now is None else aliases.previous
        raise BadInput(f"The registry has no version of {name!r} with the alias @{missing}: no roll-back is possible.")
    client, today = MlflowClient(), time.strftime("%Y-%m-%d %H:%M")
    client.set_registered_model_alias(name, aliases.champion, str(before.number))
    client.set_registered_model_alias(name, aliases.previous, str(now.number))
    client.set_model_version_tag(name, str(now.number), ROLLED_BACK_TAG, today)
    if was_rolled_back(before):
        client.delete_model_version_tag(name, str(before.number), ROLLED_BACK_TAG)
    description = client.get_model_version(name, str(now.number)).description or ""
    text = f"Rolled back to version {before.number} on {today}.\n\n{description}"
    client.update_model_version(name, str(now.number), text)
    return before, now


def was_rolled_back(version: Version) -> str | None:
    """The time at which ``version`` was rolled back; None if it was not."""
    return tag_of(version, ROLLED_BACK_TAG)


def tag_of(version: Version, name: str) -> str | None:
    """The value of a version's tag; None if it does not have the tag."""
    tags: dict[str, str] = MlflowClient().get_model_version(version.name, str(version.number)).tags
    return tags.get(name)


def describe(version: Version, text: str, tags: dict[str, str]) -> None:
    """Set the version's description (Markdown) and further tags."""
    client, number = MlflowClient(), str(version.number)
    client.update_model_version(version.name, number, text)
    for key, value in tags.items():
        client.set_model_version_tag(version.name, number, key, value)
