"""Whose a registered name is: two projects that share a tracking store may not share a name by accident."""

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

PROJECT_TAG = "stillhouse.project"  # of a version: where its data comes from
NAMED = 8  # classes in a message
logger = logging.getLogger(__name__)


def check_owner(name: str, aliases: Aliases, classes: Sequence[str], project: str) -> None:
    """Refuse a registered name that holds another project's model.

    That is certain where its champion (or, without one, its newest version) has none of ``classes``: a class that was
    added, removed or moved leaves others that are the same. Other data with the same classes is a warning.

    Raises:
        BadInput: no class is shared.
    """
    version = version_of(name, aliases.champion) or _newest(name)
    theirs = classes_of(version) if version else None
    if version is None or theirs is None:
        return
    alias = f" (@{aliases.champion})" if aliases.champion in version.aliases else ""
    if not set(theirs) & set(classes):
        raise BadInput(
            f"register.name: {name!r} is the name of another model in {store_name()}: its version "
            f"{version.number}{alias} has the classes {_listed(theirs)}; "
            f"this project has {_listed(classes)}, and none is the same. "
            "Nothing was registered. Set register.name to another name. If this model replaces the other one, delete "
            "that one in MLflow."
        )
    before = tag_of(version, PROJECT_TAG)
    if before and before != project:
        logger.warning(
            "register.name: version %d of %s%s was made from other data (%s; now %s). If it is another project's, set "
            "register.name to another name",
            version.number,
            name,
            alias,
            before,
            project,
        )


def classes_of(version: Version) -> list[str] | None:
    """The classes of a registered version; None where its files are gone or of another kind."""
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
