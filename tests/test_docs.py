"""What the pages tell is there: links, commands, parameters, files."""

import importlib.util
import re
import shlex
from pathlib import Path

import pytest
import typer
from project import ROOT

from flows.cli import app
from stillhouse.params.files import read_yaml
from stillhouse.pipeline.stages import STAGES

COMMANDS = typer.main.get_command(app).commands
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


def commands(page: Path) -> list[list[str]]:
    """The words of every line in a shell block."""
    blocks = re.findall(r"```sh\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    lines = "".join(blocks).replace("\\\n", " ").splitlines()
    return [words for line in lines if (words := shlex.split(line, comments=True))]


@each_page
def test_links_lead_to_files(page):
    links = re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text(encoding="utf-8"))
    assert [link for link in links if "://" not in link and not (page.parent / link).exists()] == []


@each_page
def test_commands_name_what_exists(page):
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for words in commands(page):
        if words[0] == "make":
            assert set(word for word in words[1:] if "=" not in word) <= targets, words
        elif words[0] == "stillhouse":
            COMMANDS[words[1]].make_context(words[1], words[2:])  # raises where an option does not exist
        elif words[0].endswith("python"):
            assert words[1] == "-m" and importlib.util.find_spec(words[2]), words
        elif words[0].endswith("dvc") and words[1:3] == ["repro", "--single-item"]:
            assert words[3] in STAGES, words


@each_page
def test_parameters_and_files_that_are_named_exist(page):
    text = page.read_text(encoding="utf-8")
    params = read_yaml(ROOT / "params.yaml")
    for key in re.findall(r"`((?:\w+\.)+\w+)(?:: [^`]*)?`", text):
        section, *rest = key.split(".")
        if section not in params or section == "devices":
            continue
        place = params[section]
        for part in rest:
            assert isinstance(place, dict) and part in place, key
            place = place[part]
    for file in re.findall(r"`((?:stillhouse|tasks|flows|tests|benchmarks)/[\w/]+\.?\w*/?)`", text):
        assert (ROOT / file).exists(), file
