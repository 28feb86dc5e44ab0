"""The command line: every command with its options, what it starts, and what the doctor finds."""

import inspect
import re
import subprocess
import sys
from types import SimpleNamespace

import mlflow
import pytest
import typer
from project import ROOT
from typer.testing import CliRunner

from flows import cli, doctor

COMMANDS = typer.main.get_command(cli.app).commands
# Command -> arguments, module, and what the module's main() receives.
STARTS = {
    "init": (
        "some.csv --text body --label= --class one --class two --dry-run",
        "flows.init",
        {"source": "some.csv", "text": "body", "label": "", "classes": ["one", "two"], "dry_run": True},
    ),
    "run": ("", "flows.distillation", {}),
    "serve-schedule": ("", "flows.schedule", {}),
    "next": (
        "some.csv --count 9 --choose random",
        "flows.next",
        {"target": "some.csv", "count": 9, "choose": "random", "force": False},
    ),
    "add": (
        "some.csv --replace --label-column topic",
        "flows.add",
        {"source": "some.csv", "label_column": "topic", "replace": True, "new_classes": False},
    ),
    "labels": ("", "flows.labels", {}),
    "estimate": ("", "flows.estimate", {}),
    "compare": ("", "flows.comparison", {}),
    "study": ("--best", "flows.study", {"best": True, "apply": False}),
    "check": ("--schema", "flows.check", {"schema": True}),
    "doctor": ("", "flows.doctor", {}),
    "score": (
        "in.csv out.csv --text-column body --chunk 40 --alias old",
        "flows.score",
        {"source": "in.csv", "target": "out.csv", "text_column": "body", "chunk": 40, "alias": "old"},
    ),
    "audit": ("some.csv --notify", "flows.audit", {"answers": "some.csv", "notify": True}),
    "predict": ("model lines.txt --threads 2", "stillhouse.serving.predict", {}),
    "try": (
        "some/model --port 0 --no-browser",
        "flows.try_page",
        {"model": "some/model", "port": 0, "browser": False},
    ),
    "export": (
        "outputs/register/model me/topics --to hub --push",
        "flows.export",
        {"model": "outputs/register/model", "target": "me/topics", "to": "hub", "push": True, "public": False},
    ),
    "reproduce": ("7 --model topics", "flows.reproduce", {"version": 7, "model": "topics"}),
    "gc": ("--days 7 --dry-run", "flows.gc", {"days": 7.0, "dry_run": True}),
    "rollback": ("--device phone", "flows.rollback", {"model": "", "device": "phone"}),
}


def start(*words):
    return CliRunner().invoke(cli.app, list(words), env={"COLUMNS": "100"})


def plain(output):
    return re.sub(r"\x1b\[[\d;]*m", "", output)  # Typer forces colours in some CI systems


def test_the_help_lists_every_command_in_its_group():
    output = plain(start("--help").output)
    order = [
        "Distil ",
        *list(STARTS)[:3],
        "Label ",
        *list(STARTS)[3:5],
        "Find out ",
        *list(STARTS)[5:11],
        "Use ",
        *list(STARTS)[11:],
    ]
    places = [re.search(rf"(─|│) {name.strip()} ", output).start() for name in order]
    assert list(COMMANDS) == list(STARTS) and places == sorted(places)


@pytest.mark.parametrize("name", [name for name in STARTS if name != "predict"])
def test_the_help_of_a_command_describes_every_option(name):
    done = start(name, "--help")
    output = plain(done.output)
    assert done.exit_code == 0 and COMMANDS[name].help in " ".join(output.split())
    for parameter in COMMANDS[name].params:
        assert re.fullmatch(r"[A-Z][^\n]+\.", parameter.help), parameter.name
        assert (parameter.opts[0] if parameter.name == "help" else parameter.name.replace("_", "-")) in output
    shown = [
        one
        for one in COMMANDS[name].params
        if not (one.default is None or one.default is False) or one.show_default not in (True, False)
    ]
    assert output.count("[default: ") == len(shown)


def test_a_help_text_loads_no_heavy_library():
    code = "import sys; from flows.cli import main\n"
    code += "try: main(*sys.argv.pop().split())\nexcept SystemExit: pass\n"
    code += "sys.exit(str({'prefect', 'mlflow', 'torch', 'dvc', 'stillhouse.params'} & set(sys.modules)))"
    for words in ("--help", "score --help", "study --help"):
        done = subprocess.run([sys.executable, "-c", code, words], capture_output=True, text=True, cwd=ROOT)
        assert "Show this message" in done.stdout and done.stderr.strip() == "set()", done


@pytest.mark.parametrize("name", STARTS)
def test_a_command_passes_its_options_to_its_module(name, monkeypatch):
    words, module, expected = STARTS[name]
    source = (ROOT / f"{module.replace('.', '/')}.py").read_text()
    names = re.findall(r"(\w+):", re.search(r"^def main\((.*)\) -> None:", source, re.MULTILINE)[1])
    seen = []

    def main(*args, **options):
        assert len(args) == len(names) or names == ["options"]
        seen.append(dict(zip(names, args, strict=False)) | options)

    monkeypatch.setitem(sys.modules, module, SimpleNamespace(main=main))
    monkeypatch.setattr(sys, "argv", [])
    done = start(name, *words.split())
    assert done.exit_code == 0, done.output
    assert seen[0].items() >= expected.items()
    assert sys.argv == (["stillhouse predict", *words.split()] if name == "predict" else [])


def test_the_defaults_of_score_are_those_of_its_flow():
    from flows.score import score

    flow, command = (inspect.signature(function).parameters for function in (score.fn, cli.use.score))
    assert [(one.name, one.default) for one in flow.values()] == [(one.name, one.default) for one in command.values()]


@pytest.mark.parametrize(
    "words", ["score in.csv", "run --fast", "gc --days many", "reproduce latest", "nothing", "study --x"]
)
def test_wrong_arguments_end_with_status_2_and_the_usage(words):
    done = start(*words.split())
    assert done.exit_code == 2 and "Usage: " in done.output and "Traceback" not in done.output


def test_python_m_starts_the_command_of_a_module():
    """The modules of flows/ delegate to the command line, so their options are declared there alone."""
    sources = {file.stem: file.read_text() for file in (ROOT / "flows").glob("*.py")}
    started = {
        f"flows.{name}": re.findall(r'^    start\("(.*)"\)$', text, re.MULTILINE) for name, text in sources.items()
    }
    wanted = {module: [name] for name, (_, module, _) in STARTS.items() if name != "predict"}
    assert {module: names for module, names in started.items() if names} == wanted
    assert not [name for name, text in sources.items() if "argparse" in text]


def test_check_reports_what_is_wrong_in_params_and_writes_their_schema(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    text = (ROOT / "params.yaml").read_text()
    (tmp_path / "params.yaml").write_text(text)
    assert start("check").output == "params.yaml is valid\n"
    assert start("check", "--schema").output == "wrote params.schema.json\n"
    assert (tmp_path / "params.schema.json").read_text() == (ROOT / "params.schema.json").read_text()
    (tmp_path / "params.yaml").write_text(text.replace("seed: 13", "seed: -1", 1))
    done = start("check")
    assert done.exit_code == 1 and "seed: should be greater than or equal to 0" in done.output


def test_the_doctor_finds_nothing_in_this_project_and_what_is_wrong_in_another(monkeypatch, tmp_path):
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "")  # which MLflow sets, once it has been told of a store
    assert [message for kind, message in doctor.findings() if kind == "fail"] == []
    text = (ROOT / "params.yaml").read_text()
    (tmp_path / "params.yaml").write_text(
        text.replace("source: sample", "source: files").replace("path: data", "path: no")
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    wrong = "\n".join(message for kind, message in doctor.findings() if kind == "fail")
    for part in ("data.path: no does not exist", "no .dvc here", "Prefect: http://127.0.0.1:9/api does not answer"):
        assert part in wrong
    (tmp_path / "no").mkdir()
    (tmp_path / "no" / "train.tsv").write_text('text\tlabel\n"one\ta\ntwo\tb\nthree"\tb\n')
    assert "the quoted field spans several lines" in "\n".join(
        message for kind, message in doctor.findings() if kind == "fail"
    )
    (tmp_path / "mlflow.db").write_bytes(b"rotten" * 1000)
    monkeypatch.delenv("PREFECT_API_URL")
    mlflow.set_tracking_uri(f"sqlite:///{tmp_path}/mlflow.db")
    wrong = "\n".join(message for kind, message in doctor.findings() if kind == "fail")
    assert f"The database of MLflow, sqlite:///{tmp_path}/mlflow.db, is damaged" in wrong
    (tmp_path / "params.yaml").write_text(text.replace("seed: 13", "seed: -1", 1))
    with pytest.raises(SystemExit) as left:
        doctor.main()
    assert left.value.code == 1
