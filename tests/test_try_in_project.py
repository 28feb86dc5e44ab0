"""``stillhouse try`` in a project: the teacher, the wrong answers, the process, and the page in a browser."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager

import numpy as np
import pytest
from browser import CHROMIUM, open_page
from fastapi.testclient import TestClient
from material import texts_and_labels, tiny_model, tiny_teacher
from project import ROOT

from flows import try_page
from flows.page import teacher as page_teacher
from flows.page.app import create_app
from stillhouse.errors import BadInput
from stillhouse.serving import Classifier

ADDRESS = "http://127.0.0.1:8484"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny_model(tmp_path_factory.mktemp("tiny") / "model")


@pytest.fixture(scope="module")
def classifier(folder):
    return Classifier.load(folder)


@pytest.fixture
def in_project(folder, classifier, tmp_path, monkeypatch):
    """A project with this model, a teacher, and 20 test texts of which the stage ``evaluate`` found 4 to be wrong."""
    import torch
    from datasets import Dataset
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    from stillhouse.data.splits import Split, write_split
    from stillhouse.models.members import members, write_members
    from stillhouse.models.teacher import Teacher

    outputs = tmp_path / "project" / "outputs"
    shutil.copytree(folder, outputs / "compress" / "model")
    shutil.copy(ROOT / "params.yaml", outputs.parent)
    for name in ("teacher/others", "prepare", "evaluate"):
        (outputs / name).mkdir(parents=True)
    source = tiny_teacher(tmp_path / "bert")
    torch.manual_seed(0)
    model = AutoModelForSequenceClassification.from_pretrained(source, num_labels=3, ignore_mismatched_sizes=True)
    Teacher(model, AutoTokenizer.from_pretrained(source), 32).save(outputs / "teacher" / "model")
    write_members(members(["bert"], [32], [1.0]), outputs / "teacher" / "others")
    texts = [text for text, _ in texts_and_labels(19)] + ["<img src=x onerror=alert(1)> & goal"]
    classes = list(classifier.classes_)
    labels = np.array([classes.index(label) for label in classifier.predict(texts)])
    labels[[2, 5, 19]] = (labels[[2, 5, 19]] + 1) % 3
    data = Dataset.from_dict({"text": texts})
    for name in ("train", "test"):
        write_split(Split(data, np.arange(20), labels), classes, outputs / "prepare" / f"{name}.arrow")
    rows = [[classes[label], answer] for label, answer in zip(labels, classifier.predict(texts), strict=True)]
    rows[7][1] = classes[(labels[7] + 1) % 3]  # what the model does not answer (any more)
    table = "".join(f"{label},{answer}\n" for label, answer in rows)
    (outputs / "evaluate" / "answers.csv").write_text("label,answer\n" + table)
    monkeypatch.chdir(outputs.parent)
    return texts


def test_the_wrong_answers_are_those_of_the_model_with_the_surest_first(in_project, folder, classifier):
    client = TestClient(create_app("model", folder, classifier), ADDRESS)
    assert client.get("/api/model").json()["mistakes"]
    found = client.get("/api/mistakes").json()
    assert found["texts"] == 20 and found["wrong"] == 3
    assert {one["text"] for one in found["examples"]} == {in_project[row] for row in (2, 5, 19)}
    for one in found["examples"]:
        expected = classifier.answer([one["text"]])
        assert one["answer"] == expected.labels[0] != one["label"]
        assert one["probability"] == pytest.approx(float(expected.probabilities[0]), abs=1e-5)
    sure = [one["probability"] for one in found["examples"]]
    assert sure == sorted(sure, reverse=True)


def test_another_model_has_no_test_texts_here(in_project, tmp_path):
    other = tiny_model(tmp_path / "other", "bilstm")
    client = TestClient(create_app("other", other, Classifier.load(other)), ADDRESS)
    assert not client.get("/api/model").json()["mistakes"]
    assert "not that of the last run" in client.get("/api/mistakes").json()["error"]


def test_the_teacher_is_loaded_at_the_first_question_and_answers_with_its_own_probabilities(in_project, classifier):
    teacher = page_teacher.LazyTeacher(classifier.classes_)
    end = time.monotonic() + 300
    assert page_teacher.has_teacher() and teacher.answer("the goal") is None  # it is loading
    while (found := teacher.answer("the goal")) is None:
        assert time.monotonic() < end
        time.sleep(0.05)
    shown = {one["label"]: one["probability"] for one in found["classes"]}
    assert set(shown) == set(classifier.classes_) and sum(shown.values()) == pytest.approx(1)
    assert found["label"] == max(shown, key=shown.get) and found["seconds"] > 0


@pytest.mark.parametrize(("damage", "message"), [("classes", "has the classes"), ("weights", "cannot be loaded")])
def test_a_teacher_that_cannot_be_used_gets_one_message(in_project, classifier, damage, message):
    if damage == "weights":
        (page_teacher.path("teacher/model") / "model.safetensors").write_bytes(b"rotten")
    teacher = page_teacher.LazyTeacher(["a", "b"] if damage == "classes" else classifier.classes_)
    with pytest.raises(BadInput, match=message):
        while teacher.answer("goal") is None:
            time.sleep(0.05)


def start(*words):
    """The command in a process, in the current folder."""
    variables = {name: value for name, value in os.environ.items() if name not in ("DISPLAY", "WAYLAND_DISPLAY")}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    command = [sys.executable, "-m", "flows.try_page", *words]
    return subprocess.Popen(command, env={**variables, "PYTHONPATH": str(ROOT)}, **pipes)


@contextmanager
def serving(*words):
    process = start("--port", "0", *words)
    try:
        line = process.stdout.readline()
        assert re.match(r"\S+: http://127\.0\.0\.1:\d+ ", line), line + process.stderr.read()
        yield process, re.search(r"http://\S+", line)[0]
    finally:
        process.kill()
        process.communicate()


def test_a_missing_model_a_damaged_one_and_a_busy_port_end_with_one_message(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(folder, "damaged")
    (tmp_path / "damaged" / "tokenizer.json").write_text("{}")
    with socket.create_server((try_page.HOST, 0)) as taken:
        port = taken.getsockname()[1]
        cases = {
            ("--port", "0"): "There is no model in .*Run: make run, or name a model",
            ("nothing", "--port", "0"): "nothing cannot be used: ",
            ("damaged", "--port", "0"): "damaged cannot be used: .*tokenizer.json is damaged",
            (str(folder), "--port", str(port)): f"Port {port} of 127.0.0.1 cannot be used .*in use.*--port",
        }
        for words, message in cases.items():
            out, problem = (process := start(*words)).communicate(timeout=120)
            assert process.returncode == 1 and re.search(message, problem), problem
            assert out == "" and "Traceback" not in problem


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_quietly_with_status_0(folder, number):
    with serving(str(folder)) as (process, address):
        host, port = address.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port))) as idle:  # as browsers keep one
            idle.sendall(f"GET / HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
            assert idle.recv(100).startswith(b"HTTP/1.1 200")
            process.send_signal(number)
            assert process.communicate(timeout=60) == ("", "") and process.returncode == 0


@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium, which this machine does not have")
def test_the_page_works_with_the_keyboard_alone(in_project, classifier, tmp_path):
    with serving("outputs/compress/model", "--no-browser") as (_, address), open_page(tmp_path) as page:
        page.open(address)
        page.wait("document.querySelector('.example')")
        page.type("the goal <b>rain</b>")
        page.press("Enter")
        page.wait("document.querySelector('#student .label')")
        expected = classifier.answer(["the goal <b>rain</b>"])
        assert page.value("document.querySelector('#student .label').innerText") == expected.labels[0]
        assert page.value("document.querySelector('#marked').innerText") == "the goal <b>rain</b>"
        assert page.value("document.querySelectorAll('#marked b, #effects b').length") == 0
        page.wait("/Loading|sure/.test(document.querySelector('#teacher').innerText)")
        page.press("Tab", 2)  # to the lines
        page.type("goal\nrain")
        page.press("Tab")
        page.press("Enter")
        page.wait("document.querySelector('#many-state').innerText === 'labels.csv is downloaded.'")
        wait_for(tmp_path / "labels.csv")
        assert (tmp_path / "labels.csv").read_text().splitlines()[0] == '"text","label","probability","deferred"'
        (tmp_path / "in.csv").write_text("id;body\n1;the goal of it\n2;rain and wind\n")
        root = page.call("DOM.getDocument")["root"]["nodeId"]
        node = page.call("DOM.querySelector", nodeId=root, selector="#file")["nodeId"]
        page.call("DOM.setFileInputFiles", nodeId=node, files=[str(tmp_path / "in.csv")])
        page.wait("document.querySelector('#many-state').innerText === 'in.csv: 2 rows.'")
        assert page.value("document.querySelector('#column').value") == "body"
        page.press("Tab", 3)  # file, column, button
        page.press("Enter")
        wait_for(tmp_path / "in-labels.csv")
        assert len((tmp_path / "in-labels.csv").read_text().splitlines()) == 3
        page.press("Tab")  # the first wrong answer
        page.press("Enter")
        first = page.value("document.querySelector('.example .text').innerText")
        page.wait(f"document.querySelector('#marked').innerText === {json.dumps(first)}")
        assert page.value("document.querySelector('#text').value") == first and first in in_project
        assert page.value("document.images.length") == 0  # a text is never HTML
        page.call("Emulation.setDeviceMetricsOverride", width=390, height=800, deviceScaleFactor=1, mobile=True)
        assert page.value("document.documentElement.scrollWidth") == 390
        assert page.value(
            "performance.getEntriesByType('resource').every((one) => one.name.startsWith(location.origin))"
        )


def wait_for(file):
    end = time.monotonic() + 60
    while not file.exists():
        assert time.monotonic() < end, f"{file} is not downloaded"
        time.sleep(0.1)
