"""``pip install stillhouse`` without extras: three packages, and it predicts."""

import json
import os
import re
import shutil
import subprocess
import sys
import venv
from importlib.metadata import distributions

import pytest
from material import WORDS, texts_and_labels, tiny_model
from project import ROOT

from stillhouse.serving import Classifier

SOURCES = ("pyproject.toml", "README.md", "LICENSE", "flows", "tasks", "stillhouse")
OFFLINE = re.compile(r"name resolution|NewConnectionError|ProxyError|ConnectTimeout|Network is unreachable")
PREDICT = """
import json, sys
from stillhouse.serving import Classifier
print(json.dumps(Classifier.load(sys.argv[1]).predict(["goal", "rain"]).tolist()))
"""


def pip(*arguments):
    """Run pip of this environment. Skips the test where there is no package index."""
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--retries", "1", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode and OFFLINE.search(done.stdout + done.stderr):
        pytest.skip("no package index can be reached")
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def install(folder):
    """Build the wheel and install it into an empty environment in ``folder``; the environment's folder of commands."""
    (folder / "source").mkdir()
    for name in SOURCES:  # a copy, because a build leaves files beside the sources
        (shutil.copytree if (ROOT / name).is_dir() else shutil.copy)(ROOT / name, folder / "source" / name)
    installed = {one.name: one.version for one in distributions()}
    recent = int(installed.get("setuptools", "0").partition(".")[0]) >= 77  # pyproject.toml requires it
    pip("wheel", "--no-deps", *(["--no-build-isolation"] if recent else []), "-w", folder, folder / "source")
    venv.create(folder / "venv", with_pip=False)
    commands = folder / "venv" / "bin"
    [wheel] = folder.glob("*.whl")
    pip("--python", commands / "python", "install", "--no-compile", "-c", ROOT / "constraints.txt", wheel)
    return commands


def run(*command, folder):
    """A command in ``folder``, which sees nothing of this environment."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    return subprocess.run(list(map(str, command)), cwd=folder, env=kept, capture_output=True, text=True, timeout=120)


def check_predictions(commands, tmp_path):
    model = tiny_model(tmp_path / "model")
    expected = Classifier.load(model)
    done = run(commands / "python", "-c", PREDICT, model, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == expected.predict(["goal", "rain"]).tolist()

    texts = [text for text, _ in texts_and_labels(40)]
    (tmp_path / "lines.txt").write_text("\n".join(texts) + "\n")
    done = run(commands / "stillhouse", "predict", model, "lines.txt", folder=tmp_path)
    assert done.returncode == 0 and done.stderr == "", done.stderr
    rows = [line.split("\t") for line in done.stdout.splitlines()]
    labels = [row[0] for row in rows]
    assert labels == expected.predict(texts).tolist() and {*labels} <= {*WORDS}
    assert [float(row[1]) for row in rows] == pytest.approx(expected.predict_proba(texts).max(1), abs=1e-4)


def check_packages(commands, tmp_path):
    code = "from importlib.metadata import requires; print(*[r for r in requires('stillhouse') if 'extra' not in r])"
    needed = run(commands / "python", "-c", code, folder=tmp_path).stdout
    assert sorted(re.findall(r"[a-z]+", needed)) == ["numpy", "onnxruntime", "tokenizers"]
    installed = json.loads(pip("--python", commands / "python", "list", "--format", "json"))
    assert not {package["name"] for package in installed} & {"torch", "pydantic", "mlflow", "prefect", "pandas", "dvc"}
    done = run(commands / "stillhouse", "run", folder=tmp_path)
    assert done.returncode == 1 and "pip install 'stillhouse[all]'" in done.stderr and "Traceback" not in done.stderr
    done = run(commands / "stillhouse", "predict", "models:/topics@champion", folder=tmp_path)
    assert done.returncode == 1 and "'stillhouse[pipeline]'" in done.stderr and "Traceback" not in done.stderr


def test_it_installs_three_packages_predicts_and_names_the_extra_for_the_rest(tmp_path):
    commands = install(tmp_path)
    check_predictions(commands, tmp_path)
    check_packages(commands, tmp_path)
