"""``pyproject.toml`` against the code: each imported package is declared, and in the extra of its part of the code."""

import ast
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from project import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
OPTIONAL = ("study", "dask", "ray")  # extras of commands that say so where they are missing
OWN = {"stillhouse", "tasks", "flows"}
LIGHT = ROOT / "stillhouse" / "serving"
MODEL = LIGHT / "mlflow_model.py"
PIPELINE = [ROOT / "stillhouse" / name for name in ("tracking", "pipeline")]


def declared(*extras: str) -> set[str]:
    """The distributions that an installation with these extras asks for."""
    lines = [*PROJECT["dependencies"]]
    for extra in extras:
        lines += PROJECT["optional-dependencies"][extra]
    return {canonicalize_name(Requirement(line).name) for line in lines}


def imported(file: Path) -> Iterator[str]:
    """The top-level names that a file imports, also in functions, but those of Python and of this project."""
    names = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module)
    return (name for name in sorted(names) if name.partition(".")[0] not in OWN | sys.stdlib_module_names)


distributions = cache(packages_distributions)


def undeclared(files: list[Path], *extras: str) -> list[str]:
    known = declared(*extras)
    missing = []
    for file in files:
        for name in imported(file):
            top = name.partition(".")[0]
            owners = {canonicalize_name(owner) for owner in distributions().get(top, [top])}
            if not owners & known:
                missing.append(f"{file.relative_to(ROOT)}: {name}")
    return missing


def part(file: Path) -> str:
    if LIGHT in file.parents and file != MODEL:
        return "serving"
    in_library = ROOT / "stillhouse" in file.parents and not {*PIPELINE}.intersection(file.parents) and file != MODEL
    return "library" if in_library else "rest"


@pytest.mark.parametrize(
    ("name", "extras"),
    [("serving", ()), ("library", ("train", "study", "ray")), ("rest", ("train", "pipeline", *OPTIONAL))],
)
def test_every_package_that_is_imported_is_declared(name, extras):
    files = [file for folder in sorted(OWN) for file in sorted((ROOT / folder).rglob("*.py")) if part(file) == name]
    assert len(files) > 3
    assert undeclared(files, *extras) == []


def test_all_is_what_the_pipeline_needs_and_what_development_installs():
    optional = PROJECT["optional-dependencies"]
    assert optional["all"] == ["stillhouse[train,pipeline]"]
    assert "all" in Requirement(optional["dev"][0]).extras
