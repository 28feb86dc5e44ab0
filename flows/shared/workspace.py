"""A copy of the project with other parameters, in which DVC runs the same stages and shares the same cache.

So a flow that compares settings is as resumable as the pipeline: what a copy ran once, with the same inputs,
is brought back from the cache and not run again.
"""

import configparser
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from flows.shared.changes import Changes, write_changes

CODE = ("tasks", "stillhouse", "flows")
FILES = ("dvc.yaml", "params.yaml", ".dvcignore")
# Each copy has its own of these; above all a lock that was shared would be written by both.
ITS_OWN = {"outputs", "dvc.lock", "mlflow.db", "mlartifacts"}


def workspace(folder: Path, changes: dict[str, Any], project: Path = Path()) -> Path:
    """Make ``folder`` a copy of ``project``'s code and settings, with ``changes`` (nested) to its parameters.

    Outputs that an earlier copy at the same place left stay. Data that lies in the project is linked.

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
    link_data(folder, project)
    _share_cache(folder, project)
    return folder


def link_data(folder: Path, project: Path) -> None:
    """Let relative paths in the params.yaml of ``folder`` mean what they mean in ``project``; what is there stays."""
    for entry in project.iterdir():
        here = folder / entry.name
        if entry.name in ITS_OWN or entry.name.startswith("."):
            continue
        if not here.exists():
            here.symlink_to(entry.resolve())
        elif entry.is_dir() and here.is_dir() and not here.is_symlink() and entry.name not in CODE:
            link_data(here, entry)


def _share_cache(folder: Path, project: Path) -> None:
    command = [sys.executable, "-m", "dvc", "cache", "dir"]
    cache = subprocess.run(command, cwd=project, capture_output=True, text=True, check=True).stdout.strip()
    own_cache(folder, (project / cache).resolve())


def own_cache(folder: Path, cache: Path | None = None) -> None:
    """Make ``folder`` a DVC project of its own, with a cache in it, or with ``cache``."""
    config = configparser.ConfigParser()
    config["core"] = {"no_scm": "true", "analytics": "false"}
    if cache:
        config["cache"] = {"dir": str(cache)}
    (folder / ".dvc").mkdir(exist_ok=True)
    with (folder / ".dvc" / "config").open("w", encoding="utf-8") as file:
        config.write(file)
