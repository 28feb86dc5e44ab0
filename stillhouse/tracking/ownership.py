"""Ownership of a registered name, so that two projects in one tracking store do not share a name by accident."""

import logging
import tempfile
from collections.abc import Sequence
from pathlib import Path

import mlflow
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from stillhouse.errors import BadInput
from stillhouse.tracking.identity import classes_in, store_name
from stillhouse.tracking.registry import Aliases, Version, get_version, tag_of, version_of

PROJECT_TAG = "stillhouse.project"  # tag of a version: the source of its data
NAMED = 8  # maximum of classes that a message names
logger = logging.getLogger(__name__)


def check_owner(name: str, aliases: Aliases, classes: Sequence[str], project: str) -> None:
    """Refuse a registered name that belongs to another project's model.

    It does if its champion (or its newest version if there is no champion) has none of ``classes``. Added, removed or
    renamed classes of one project leave some classes in common. If only the source of the data differs, a warning is
    logged.

    Args:
        name: the registered name.
        aliases: of the pipeline or the device.
        classes: of this project's model.
        project: the source of this project's data.

    Raises:
        BadInput: no class is in common.
    """
    version = version_of(name, aliases.champion) or _newest(name)
    registered = classes_of(version) if version else None
    if version is None or registered is None:
        return
    alias = f" (@{aliases.champion})" if aliases.champion in version.aliases else ""
    if not set(registered) & set(classes):
        raise BadInput(
            f"register.name: {name!r} is the name of another model in {store_name()}: its version "
            f"{version.number}{alias} has the classes {_listed(registered)}; "
            f"this project has {_listed(classes)}, and no class is in common. "
            "Nothing was registered. Set register.name to another name. If this model replaces the other one, delete "
            "the other one in MLflow."
        )
    before = tag_of(version, PROJECT_TAG)
    if before and before != project:
        logger.warning(
            "register.name: version %d of %s%s was made from other data (%s; now %s). If it belongs to another "
            "project, set register.name to another name",
            version.number,
            name,
            alias,
            before,
            project,
        )


def classes_of(version: Version) -> list[str] | None:
    """The classes of a registered version; None if its files are missing or have another format."""
    with tempfile.TemporaryDirectory() as scratch:
        try:
            uri = f"{version.uri}/artifacts/model/config.json"
            return classes_in(Path(mlflow.artifacts.download_artifacts(uri, dst_path=scratch)).parent)
        except (MlflowException, OSError, ValueError, KeyError, TypeError):
            return None


def _newest(name: str) -> Version | None:
    found = MlflowClient().search_model_versions(f"name = '{name}'", max_results=1, order_by=["version_number DESC"])
    return get_version(name, int(found[0].version)) if found else None


def _listed(classes: Sequence[str]) -> str:
    more = len(classes) - NAMED
    return ", ".join(map(repr, classes[:NAMED])) + (f" and {more} more" if more > 0 else "")
