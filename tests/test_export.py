"""``stillhouse export``: the folder is complete or absent, and its server answers as the classifier does."""

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from material import texts_and_labels, tiny_model
from prometheus_client.parser import text_string_to_metric_families

from flows import export
from stillhouse.compression.seal import set_threshold
from stillhouse.serving import Classifier

TEXTS = ["the goal of the match", "butter and flour", "", "日本 💥 \u2028 rain"]
MOST_BYTES, MOST_TEXTS = 20_000, 100
SLOW = """
import sys, time
from stillhouse.serving import classifier
answer = classifier.Classifier.answer
def slow(self, texts, least=None):
    time.sleep(1.0 if texts == ["slow"] else 0)
    if texts == ["fail"]:
        raise RuntimeError("the secret text")
    return answer(self, texts, least)
classifier.Classifier.answer = slow
from stillhouse.serving.server import main
main()
"""


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tiny_model(tmp_path_factory.mktemp("tiny") / "model")
    set_threshold(folder, 0.4)
    return folder


@pytest.fixture(scope="module")
def exported(model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("exported") / "service"
    export.main(str(model), str(folder), "docker", False)
    return folder


@contextmanager
def serving(folder, *words, **environment):
    """The exported server in a process that has nothing of this project but the folder; yields process and port."""
    variables = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    variables |= {"PYTHONPATH": str(folder), "HOST": "127.0.0.1", "PORT": "0", "PYTHONDONTWRITEBYTECODE": "1"}
    variables |= {"STILLHOUSE_MAX_BYTES": str(MOST_BYTES), "STILLHOUSE_MAX_TEXTS": str(MOST_TEXTS)}
    command = [sys.executable, *(words or ("-m", "stillhouse.serving.server")), "model"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    process = subprocess.Popen(command, cwd=folder, env=variables | environment, **pipes)
    try:
        line = process.stdout.readline()
        assert line.startswith("Stillhouse serves model (3 classes, threshold 0.4) at http://"), process.stderr.read()
        yield process, int(re.search(r":(\d+):", line)[1])
    finally:
        process.kill()
        process.communicate()


@pytest.fixture(scope="module")
def port(exported):
    with serving(exported, "-c", SLOW) as (_, port):
        yield port


def ask(port, method, path, body=None, headers=None):
    """Returns the status, the response's JSON or text, and its headers."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request(
            method, path, body if body is None or isinstance(body, bytes) else json.dumps(body), headers or {}
        )
        response = connection.getresponse()
        content = response.read().decode()
        json_sent = response.headers["Content-Type"] == "application/json"
        return response.status, json.loads(content) if json_sent else content, response.headers
    finally:
        connection.close()


def rows(answers):
    found = zip(answers.labels, answers.probabilities, answers.deferred, strict=True)
    return [{"label": label, "probability": float(p), "deferred": bool(later)} for label, p, later in found]


def test_the_folder_has_the_model_its_code_and_three_pinned_packages(model, exported):
    assert (exported / "model" / "config.json").read_bytes() == (model / "config.json").read_bytes()
    lines = (exported / "requirements.txt").read_text().splitlines()
    assert [re.fullmatch(r"(\w+)==[\d.]+", line)[1] for line in lines] == ["numpy", "onnxruntime", "tokenizers"]
    docker = (exported / "Dockerfile").read_text()
    assert f"FROM python:{sys.version_info.major}.{sys.version_info.minor}-slim" in docker
    for source in re.findall(r"^COPY (\S+)", docker, re.MULTILINE):
        assert (exported / source).exists()
    code = "import stillhouse.serving.server, sys; print(*(m.__file__ for n, m in sys.modules.items() if n.startswith('stillhouse')))"
    code += "; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=exported, capture_output=True, text=True, check=True)
    files, modules = done.stdout.splitlines()
    assert all(file.startswith(str(exported)) for file in files.split())
    assert not {"mlflow", "torch", "pydantic", "prefect"} & {*modules.split()}


def test_single_and_batch_requests_answer_as_the_classifier(model, port):
    classifier = Classifier.load(model)
    expected = rows(classifier.answer(TEXTS))
    assert ask(port, "POST", "/predict", {"texts": TEXTS})[:2] == (200, {"predictions": expected})
    for text, row in zip(TEXTS, rows(classifier.answer(TEXTS)), strict=True):
        status, content, _ = ask(port, "POST", "/predict?x=1", {"text": text})
        assert status == 200 and content["label"] == row["label"] and content["deferred"] == row["deferred"]
        assert content["probability"] == pytest.approx(row["probability"], abs=1e-6)
    assert ask(port, "POST", "/predict", {"texts": []})[:2] == (200, {"predictions": []})
    for least in (0, 0.37, 1):
        found = ask(port, "POST", "/predict", {"texts": TEXTS, "min_confidence": least})[1]
        assert found["predictions"] == rows(classifier.answer(TEXTS, least))
    assert ask(port, "GET", "/health")[:2] == (200, {"status": "ok", "classes": 3})


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        (b"{", 400, "not JSON"),
        (b"\xff\xfe\xfa", 400, "not JSON"),
        (b"[" * 15_000, 400, "not JSON"),
        (b"", 400, "not JSON"),
        (b"9" * 6000, 400, "not JSON"),
        (b"[]", 400, "a list, not an object"),
        ({}, 400, "either text or texts"),
        ({"text": "a", "texts": ["a"]}, 400, "either text or texts"),
        ({"text": 1}, 400, "text is a number, not a string"),
        ({"texts": "rain"}, 400, "texts is a string, not a list"),
        ({"texts": ["a", None]}, 400, r"texts\[1\] is null, not a string"),
        ({"text": "a", "min_confidence": "0.5"}, 400, "min_confidence is a string"),
        ({"text": "a", "min_confidence": True}, 400, "min_confidence is true or false"),
        ({"text": "a", "min_confidence": 1.5}, 400, "min_confidence is 1.5; it must be from 0 to 1"),
        (b'{"text": "a", "min_confidence": NaN}', 400, "min_confidence is nan"),
        ({"text": "a", "confidence": 1}, 400, "'confidence' is unknown"),
        ({"texts": ["a"] * (MOST_TEXTS + 1)}, 400, "101 texts; the limit is 100"),
        ({"text": "a" * MOST_BYTES}, 413, "larger than the limit of 20,000 bytes"),
        (b"x" * 5_000_000, 413, "larger than the limit"),
    ],
)
def test_a_bad_request_gets_one_message_and_the_server_goes_on(port, body, status, message):
    found, content, _ = ask(port, "POST", "/predict", body)
    assert found == status and list(content) == ["error"] and re.search(message, content["error"])
    assert len(content["error"]) < 400 and "\n" not in content["error"]
    assert ask(port, "POST", "/predict", {"text": "rain"})[0] == 200


@pytest.mark.parametrize(
    ("method", "path", "status", "message"),
    [
        ("GET", "/", 404, "no such path.*/predict"),
        ("POST", "/v1/predict", 404, "no such path"),
        ("GET", "/predict", 405, "needs the method POST, not GET"),
        ("POST", "/health", 405, "needs the method GET"),
        ("DELETE", "/predict", 405, "needs the method POST"),
        ("BREW", "/predict", 501, "BREW"),
        ("GET", "/" + "x" * 70_000, 414, "."),
    ],
)
def test_an_unknown_path_or_method_is_named(port, method, path, status, message):
    found, content, headers = ask(port, method, path)
    assert found == status and re.search(message, content["error"])
    assert ("Allow" in headers) == (status == 405)


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", 411),
        (b"\r\n", 411),
        (b"Content-Length: -5\r\n\r\n", 400),
        (b"Content-Length: 99999999999999999999\r\n\r\n", 413),
    ],
)
def test_a_body_without_a_usable_length_is_refused(port, head, status):
    with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
        client.sendall(b"POST /predict HTTP/1.1\r\nHost: x\r\n" + head)
        client.shutdown(socket.SHUT_WR)
        answer = b"".join(iter(lambda: client.recv(65536), b"")).decode()
    assert answer.startswith(f"HTTP/1.1 {status} ") and answer.count("HTTP/1.1") == 1 and '{"error": ' in answer


def test_hundreds_of_requests_at_once_are_all_answered_right(model, exported):
    texts = [text for text, _ in texts_and_labels(400)]
    expected = Classifier.load(model).answer(texts)
    with serving(exported) as (_, port):
        with ThreadPoolExecutor(32) as threads:
            found = list(threads.map(lambda text: ask(port, "POST", "/predict", {"text": text}), texts))
        assert [status for status, *_ in found] == [200] * len(texts)
        assert [content["label"] for _, content, _ in found] == expected.labels.tolist()
        assert ask(port, "POST", "/predict", b"{")[0] == 400
        status, page, headers = ask(port, "GET", "/metrics")
    assert status == 200 and headers["Content-Type"].startswith("text/plain; version=0.0.4")
    samples = {
        (one.name, *one.labels.values()): one.value
        for family in text_string_to_metric_families(page)
        for one in family.samples
    }
    assert samples["stillhouse_requests_total", "/predict", "200"] == len(texts)
    assert samples["stillhouse_requests_total", "/predict", "400"] == samples["stillhouse_errors_total",] == 1
    assert samples["stillhouse_texts_total",] == samples["stillhouse_predict_seconds_count",] == len(texts)
    assert samples["stillhouse_predict_seconds_bucket", "+Inf"] == len(texts)
    assert samples["stillhouse_deferred_total",] == expected.deferred.sum()


def test_one_connection_serves_many_requests(port):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    for _ in range(5):
        connection.request("POST", "/predict", b'{"text": "rain"}')
        assert connection.getresponse().read()
        assert connection.sock is not None  # the server did not close it
    connection.close()


def test_a_failure_is_a_500_that_does_not_name_the_reason(port):
    status, content, _ = ask(port, "POST", "/predict", {"text": "fail"})
    assert status == 500 and "secret" not in content["error"]
    assert ask(port, "GET", "/health")[0] == 200


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_answers_the_requests_in_flight_and_ends_with_0(exported, number):
    with serving(exported, "-c", SLOW) as (process, port):
        idle = socket.create_connection(("127.0.0.1", port))  # must not delay the end
        with ThreadPoolExecutor(8) as threads:
            waiting = [threads.submit(ask, port, "POST", "/predict", {"text": "slow"}) for _ in range(8)]
            time.sleep(0.5)
            process.send_signal(number)
            assert Counter(one.result()[0] for one in waiting) == {200: 8}
        assert process.wait(5) == 0
        idle.close()
        assert process.stdout.read() == f"Stopped by {number.name}: all requests are answered.\n"
        with pytest.raises(ConnectionError):
            ask(port, "GET", "/health")


def test_a_stop_under_load_loses_no_request_that_the_server_read(exported):
    with serving(exported) as (process, port):
        statuses, refused = Counter(), threading.Event()

        def load():
            while not refused.is_set():
                try:
                    statuses[ask(port, "POST", "/predict", {"text": "rain"})[0]] += 1
                except ConnectionRefusedError:
                    refused.set()
                except (ConnectionError, http.client.HTTPException):
                    pass  # connected while the server closed its socket: the client sends it again

        threads = [threading.Thread(target=load) for _ in range(8)]
        for thread in threads:
            thread.start()
        time.sleep(0.5)
        process.terminate()
        for thread in threads:
            thread.join(20)
        assert process.wait(5) == 0 and set(statuses) == {200} and statuses[200] > 8


@pytest.mark.parametrize(
    ("environment", "message"),
    [({"PORT": "http"}, "PORT is 'http'"), ({"PORT": "70000"}, "0 to 65535"), ({"PORT": "taken"}, "cannot be used")],
)
def test_a_port_that_cannot_be_used_is_named(exported, port, environment, message):
    environment = {**os.environ, "HOST": "127.0.0.1", **environment}
    environment["PORT"] = environment["PORT"].replace("taken", str(port))
    command = [sys.executable, "-m", "stillhouse.serving.server", "model"]
    done = subprocess.run(command, cwd=exported, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and message in done.stderr and "Traceback" not in done.stderr


def refused(*arguments):
    with pytest.raises(SystemExit) as ending:
        export.main(*map(str, arguments))
    assert ending.value.code != 0
    return str(ending.value)


def test_a_folder_with_files_is_replaced_only_on_demand(model, tmp_path):
    target = tmp_path / "service"
    target.mkdir()
    (target / "mine.txt").write_text("mine")
    assert "--force" in refused(model, target, "docker", "")
    assert [file.name for file in target.iterdir()] == ["mine.txt"]
    export.main(str(model), str(target), "docker", True)
    assert (target / "Dockerfile").exists() and not (target / "mine.txt").exists()
    assert [file.name for file in tmp_path.iterdir()] == ["service"]


@pytest.mark.parametrize("existing", [False, True])
def test_an_export_that_fails_leaves_everything_as_it_was(model, tmp_path, monkeypatch, existing):
    target = tmp_path / "service"
    if existing:
        export.main(str(model), str(target), "docker", False)
    before = {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()}

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(export, "installed", full)
    with pytest.raises(OSError, match="No space"):
        export.main(str(model), str(target), "docker", True)
    assert {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()} == before
    assert target.exists() == existing and len([*tmp_path.iterdir()]) == existing


def test_a_mistake_gets_one_message_and_writes_nothing(model, tmp_path, monkeypatch):
    assert "nothing cannot be used" in refused(tmp_path / "nothing", tmp_path / "service", "docker", "")
    assert "does not exist" in refused(model, tmp_path / "a" / "b", "docker", "")
    (tmp_path / "file").write_text("")
    assert "is not a folder" in refused(model, tmp_path / "file", "docker", "")
    assert [file.name for file in tmp_path.iterdir()] == ["file"]
    assert "would be lost" in refused(model, model, "docker", "yes") and Classifier.load(model)
    monkeypatch.chdir(tmp_path)
    assert "would be lost" in refused(model, ".", "docker", "yes")
