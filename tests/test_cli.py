"""The command ``stillhouse``: every name starts its module, and the doctor says what is missing."""

import importlib

import mlflow
import pytest
from project import ROOT
from typer.testing import CliRunner

from flows import cli, doctor


def start(*words):
    return CliRunner().invoke(cli.app, list(words))


def test_the_help_names_every_command_and_that_of_a_command_starts_nothing(monkeypatch):
    told = start("--help").output
    assert all(name in told for name in cli.COMMANDS)
    monkeypatch.setattr(importlib, "import_module", lambda name: pytest.fail(f"{name} was started"))
    for name in set(cli.COMMANDS) - set(cli.OWN_OPTIONS):
        done = start(name, "--help")
        assert done.exit_code == 0 and cli.COMMANDS[name][2].split()[0] in done.output
    assert start("run", "--fast").exit_code == 2


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_a_command_starts_the_main_of_its_module_with_the_words_that_follow(name, monkeypatch):
    module = cli.COMMANDS[name][0]
    assert "\ndef main() -> None:" in (ROOT / f"{module.replace('.', '/')}.py").read_text()
    seen = []

    class Module:
        @staticmethod
        def main():
            seen.append(list(cli.sys.argv))

    monkeypatch.setattr(cli.sys, "argv", [])
    monkeypatch.setattr(importlib, "import_module", lambda asked: Module if asked == module else None)
    words = ["in.csv", "--best"] if name in cli.OWN_OPTIONS else []
    assert start(name, *words).exit_code == 0
    assert seen == [[f"stillhouse {name}", *words]]


def test_the_doctor_finds_nothing_in_this_project_and_what_is_wrong_in_another(monkeypatch, tmp_path):
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "")  # which MLflow sets, once it has been told of a store
    assert [told for kind, told in doctor.findings() if kind == "fail"] == []
    text = (ROOT / "params.yaml").read_text()
    (tmp_path / "params.yaml").write_text(
        text.replace("source: sample", "source: files").replace("path: data", "path: no")
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    wrong = "\n".join(told for kind, told in doctor.findings() if kind == "fail")
    for part in ("data.path: no does not exist", "no .dvc here", "Prefect: http://127.0.0.1:9/api does not answer"):
        assert part in wrong
    (tmp_path / "no").mkdir()
    (tmp_path / "no" / "train.tsv").write_text('text\tlabel\n"one\ta\ntwo\tb\nthree"\tb\n')
    assert "a double quote begins a field" in "\n".join(told for kind, told in doctor.findings() if kind == "fail")
    (tmp_path / "mlflow.db").write_bytes(b"rotten" * 1000)
    monkeypatch.delenv("PREFECT_API_URL")
    mlflow.set_tracking_uri(f"sqlite:///{tmp_path}/mlflow.db")
    wrong = "\n".join(told for kind, told in doctor.findings() if kind == "fail")
    assert f"The database of MLflow, sqlite:///{tmp_path}/mlflow.db, is damaged" in wrong
    (tmp_path / "params.yaml").write_text(text.replace("seed: 13", "seed: -1", 1))
    monkeypatch.setattr("sys.argv", ["doctor"])
    with pytest.raises(SystemExit) as left:
        doctor.main()
    assert left.value.code == 1
