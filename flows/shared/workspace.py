"""A copy of the project with other parameters. DVC runs the same stages in it and shares the project's cache.

So a flow that compares settings can be continued like the pipeline: DVC restores the results of a copy from the cache
if its inputs are the same.
"""

import configparser
import shutil
from pathlib import Path
from typing import Any

from flows.shared.changes import Changes, write_changes
from stillhouse.params import load_params
from stillhouse.params.located import write_origin
from stillhouse.pipeline.dvc_config import cache_folder, dvc_config
from stillhouse.pipeline.links import link_inputs

CODE = ("tasks", "stillhouse", "flows")
FILES = ("dvc.yaml", "params.yaml", ".dvcignore")


def workspace(folder: Path, changes: dict[str, Any], project: Path = Path()) -> Path:
    """Make ``folder`` a copy of ``project``'s code and settings, with ``changes`` (nested) to its parameters.

    Outputs of an earlier copy in the same folder remain. Relative paths in its parameters start from ``project``.

    Raises:
        BadInput: the changed parameters are not valid.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name in CODE:
        shutil.rmtree(folder / name, ignore_errors=True)
        shutil.copytree(project / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in FILES:
        shutil.copy(project / name, folder / name)
    write_changes(Changes.model_validate(changes), folder / "params.yaml", nulls=True)
    write_origin(folder, project)
    link_inputs(load_params(folder / "params.yaml"), folder)
    _share_cache(folder, project)
    return folder


def _share_cache(folder: Path, project: Path) -> None:
    kinds = dvc_config(project).get("cache", {}).get("type")
    own_cache(folder, {"dir": str(cache_folder(project)), **({"type": ",".join(kinds)} if kinds else {})})


def own_cache(folder: Path, cache: dict[str, str] | None = None) -> None:
    """Make ``folder`` a separate DVC project, with its own cache or with the settings ``cache``."""
    config = configparser.ConfigParser(interpolation=None)
    config["core"] = {"no_scm": "true", "analytics": "false"}
    if cache:
        config["cache"] = cache
    (folder / ".dvc").mkdir(exist_ok=True)
    with (folder / ".dvc" / "config").open("w", encoding="utf-8") as file:
        config.write(file)
