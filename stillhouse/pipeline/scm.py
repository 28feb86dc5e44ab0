"""A project without Git, such as an unpacked ZIP: DVC works there if ``core.no_scm`` is set.

``make install`` runs ``python -m stillhouse.pipeline.scm``, so that a plain ``dvc repro`` works.
"""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from stillhouse.pipeline.dvc_config import dvc_config

LOCAL = Path(".dvc/config.local")
MARK = Path(".stillhouse/no_scm")  # marks that Stillhouse, not the user, made the setting
SETTING = "core.no_scm"


def in_git(folder: Path = Path()) -> bool:
    """Whether ``folder`` lies in a Git repository, a worktree or a submodule; the program ``git`` is not needed."""
    here = folder.resolve()
    return any(_is_git(place / ".git") for place in (here, *here.parents))


def _is_git(entry: Path) -> bool:
    try:
        if entry.is_file():  # in a worktree or submodule: "gitdir: <path>"
            target = entry.read_text(encoding="utf-8").strip().removeprefix("gitdir:").strip()
            return (entry.parent / target / "HEAD").exists()
        return (entry / "HEAD").exists()
    except (OSError, ValueError):
        return False


def update_no_scm(log: Callable[[str], None]) -> None:
    """Set DVC's ``core.no_scm`` in its local configuration if the project is not in Git; unset it once it is."""
    if not Path(".dvc").is_dir():
        return
    if in_git():
        if MARK.exists():
            _configure("--unset", SETTING)
            MARK.unlink()
            log(f"this project is in Git now: {SETTING} was removed from {LOCAL}")
    elif not (MARK.exists() and LOCAL.exists()) and not without_scm():
        _configure(SETTING, "true")
        MARK.parent.mkdir(exist_ok=True)
        MARK.touch()
        log(f"no Git repository here: DVC's {SETTING} was set in {LOCAL}; runs and models will name no commit")


def without_scm() -> bool:
    """Whether DVC works here without Git."""
    return bool(dvc_config()["core"].get("no_scm"))


def _configure(*words: str) -> None:
    subprocess.run([sys.executable, "-m", "dvc", "config", "--local", *words], check=True, capture_output=True)


if __name__ == "__main__":
    update_no_scm(lambda line: print(line, file=sys.stderr))  # noqa: T201
