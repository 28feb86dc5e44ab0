"""A project that is no Git repository, a cache that others share, an installation that fails."""

import subprocess
import sys
from pathlib import Path

import pytest
from project import ROOT

from flows import gc
from flows.shared.health import project_findings
from stillhouse.pipeline import scm


def dvc(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "dvc", *words], capture_output=True, text=True)


@pytest.fixture
def zipped(tmp_path, monkeypatch) -> Path:
    """What lies in a ZIP of a project with one stage."""
    (tmp_path / ".dvc").mkdir()
    (tmp_path / ".dvc" / "config").touch()
    (tmp_path / "dvc.yaml").write_text("stages:\n  one:\n    cmd: echo x > out\n    outs: [out]\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_dvc_works_without_git_once_a_run_has_begun_and_with_it_again_where_it_comes(zipped):
    assert ("note", "core.no_scm") in {
        (kind, "core.no_scm") for kind, message in project_findings() if "no_scm" in message
    }
    logged = []
    scm.update_no_scm(logged.append)
    scm.update_no_scm(logged.append)
    assert len(logged) == 1 and "no Git repository here" in logged[0]
    done = dvc("repro")
    assert done.returncode == 0 and (zipped / "out").exists(), done.stderr
    assert (zipped / ".dvc" / "config").read_text() == ""  # what is in Git stays as it is
    subprocess.run(["git", "init", "-q"], check=True)
    scm.update_no_scm(logged.append)
    assert len(logged) == 2 and not scm.without_scm()


def test_a_worktree_and_a_submodule_are_git_and_a_link_to_nothing_is_not(tmp_path):
    assert not scm.in_git(tmp_path)
    (tmp_path / "a").mkdir()
    (tmp_path / ".git").mkdir()  # empty, as a mount may leave it
    assert not scm.in_git(tmp_path / "a")
    (tmp_path / "a" / ".git").write_text("gitdir: ../main/.git/worktrees/a\n")
    assert not scm.in_git(tmp_path / "a")
    (tmp_path / "main" / ".git" / "worktrees" / "a").mkdir(parents=True)
    (tmp_path / "main" / ".git" / "worktrees" / "a" / "HEAD").touch()
    assert scm.in_git(tmp_path / "a")


def test_a_commit_is_none_where_git_is_not_installed(monkeypatch):
    from stillhouse.provenance import git_commit

    monkeypatch.setenv("PATH", "")
    assert git_commit() == "none"


@pytest.mark.parametrize("how", ["cache.dir", "a link"])
def test_a_cache_outside_of_the_project_is_left_to_all_who_use_it(tmp_path, monkeypatch, capsys, how):
    project, shared = tmp_path / "project", tmp_path / "shared"
    (project / ".dvc").mkdir(parents=True)
    shared.mkdir()
    (project / ".dvc" / "config").write_text("[core]\n    no_scm = true\n")
    monkeypatch.chdir(project)
    assert gc.shared_cache() is None
    if how == "cache.dir":
        (project / ".dvc" / "config.local").write_text("[cache]\n    dir = ../../shared\n")
    else:
        (project / ".dvc" / "cache").symlink_to(shared)
    (shared / "files" / "md5" / "ab").mkdir(parents=True)
    others = shared / "files" / "md5" / "ab" / ("c" * 30)
    others.write_text("of another project")
    gc._dvc_gc()
    message = capsys.readouterr().out
    assert others.exists() and str(shared) in message and "dvc gc --workspace --projects OTHER_PROJECT" in message
    assert any(kind == "note" and str(shared) in found for kind, found in project_findings())


def test_make_install_shows_what_failed(tmp_path):
    python = tmp_path / "python"
    python.write_text(
        '#!/bin/sh\n[ "$2" = venv ] && { mkdir -p "$3/bin"; cp "$0" "$3/bin/python"; cp "$0" "$3/bin/pip"; exit 0; }\n'
        '[ "$2" = stillhouse.pipeline.scm ] && { echo "the disk is full" >&2; exit 3; }\nexit 0\n'
    )
    python.chmod(0o755)
    words = ["make", "install", f"VENV={tmp_path / 'venv'}", f"PYTHON={python}"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode and "the disk is full" in done.stdout + done.stderr
    assert not (tmp_path / "venv" / ".installed").exists()
