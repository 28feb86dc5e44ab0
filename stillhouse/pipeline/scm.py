"""A project without Git (a ZIP of it): DVC works there once it is told so."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from stillhouse.pipeline.dvc_config import dvc_config

LOCAL = Path(".dvc/config.local")
MARK = Path(".stillhouse/no_scm")  # that the setting is ours
SETTING = "core.no_scm"


def in_git(folder: Path = Path()) -> bool:
    """Whether ``folder`` lies in a Git repository, a worktree or a submodule; the program ``git`` is not needed."""
    here = folder.resolve()
    return any(_is_git(place / ".git") for place in (here, *here.parents))


def _is_git(entry: Path) -> bool:
    try:
        if entry.is_file():  # of a worktree or submodule: "gitdir: <path>"
            named = entry.read_text(encoding="utf-8").strip().removeprefix("gitdir:").strip()
            return (entry.parent / named / "HEAD").exists()
        return (entry / "HEAD").exists()
    except (OSError, ValueError):
        return False


def settle_scm(say: Callable[[str], None]) -> None:
    """Set DVC's ``core.no_scm`` in its local configuration where there is no Git; undo it where there is Git again."""
    if not Path(".dvc").is_dir():
        return
    if in_git():
        if MARK.exists():
            _configure("--unset", SETTING)
            MARK.unlink()
            say(f"this project is in Git now: {SETTING} was taken out of {LOCAL}")
    elif not (MARK.exists() and LOCAL.exists()) and not without_scm():
        _configure(SETTING, "true")
        MARK.parent.mkdir(exist_ok=True)
        MARK.touch()
        say(f"no Git repository here: DVC's {SETTING} was set in {LOCAL}; runs and models will name no commit")


def without_scm() -> bool:
    """Whether DVC works here without Git."""
    return bool(dvc_config()["core"].get("no_scm"))


def _configure(*words: str) -> None:
    subprocess.run([sys.executable, "-m", "dvc", "config", "--local", *words], check=True, capture_output=True)
