"""``stillhouse try``: the page answers as the classifier does, and only its own requests."""

import csv
import io
import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from fastapi.testclient import TestClient
from material import texts_and_labels, tiny_model

from flows.page import app as page_app
from flows.page.answer import MOST_WORDS, answer
from stillhouse.compression.seal import set_threshold
from stillhouse.serving import Classifier

ADDRESS = "http://127.0.0.1:8484"
THRESHOLD = 0.4


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tiny_model(tmp_path_factory.mktemp("tiny") / "model")
    set_threshold(made, THRESHOLD)
    return made


@pytest.fixture(scope="module")
def classifier(folder):
    return Classifier.load(folder)


@pytest.fixture
def client(folder, classifier, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # no project
    return TestClient(page_app.create_app("some/model", folder, classifier), ADDRESS, raise_server_exceptions=False)


def error(response, status):
    assert response.status_code == status and list(response.json()) == ["error"], response.text
    return response.json()["error"]


def read(response):
    assert response.status_code == 200, response.text
    return list(csv.DictReader(io.StringIO(response.content.decode(), newline="")))


def labels_match(rows, classifier, texts):
    expected = classifier.answer(texts)
    assert [row["label"] for row in rows] == expected.labels.tolist()
    assert [float(row["probability"]) for row in rows] == pytest.approx(expected.probabilities.tolist(), abs=1e-5)
    assert [row["deferred"] for row in rows] == [str(bool(one)).lower() for one in expected.deferred]


def test_an_answer_is_that_of_the_classifier_with_all_probabilities_and_the_threshold(client, classifier):
    seen = set()
    for text in ("goal match team", "butter 日本 💥\n rain", "x"):
        found = client.post("/api/answer", json={"text": text}).json()
        expected = classifier.answer([text])
        assert found["label"] == expected.labels[0] and found["deferred"] == expected.deferred[0]
        assert found["probability"] == pytest.approx(float(expected.probabilities[0]))
        probabilities = classifier.predict_proba([text])[0]
        shown = {one["label"]: one["probability"] for one in found["classes"]}
        assert shown == pytest.approx(dict(zip(classifier.classes_, probabilities.tolist(), strict=True)))
        assert list(shown.values()) == sorted(shown.values(), reverse=True) and found["seconds"] > 0
        assert "".join(part["text"] for part in found["parts"]) == text
        seen.add(found["deferred"])
    about = client.get("/api/model").json()
    assert about["min_confidence"] == THRESHOLD and about["classes"] == list(classifier.classes_)
    assert not about["teacher"] and not about["mistakes"]  # outside of a project


def test_the_effect_of_a_word_is_what_the_probability_loses_without_it(classifier):
    text = "  the goal,  of rain "
    found = answer(classifier, text)
    column = list(classifier.classes_).index(found["label"])
    without = ["    goal,  of rain ", "  the   of rain ", "  the goal,   rain ", "  the goal,  of  "]
    expected = found["probability"] - classifier.predict_proba(without)[:, column]
    words = [part for part in found["parts"] if part["effect"] is not None]
    assert [part["text"] for part in words] == ["the", "goal,", "of", "rain"]
    np.testing.assert_allclose([part["effect"] for part in words], expected, atol=1e-5)


def test_only_the_first_words_of_a_long_text_are_left_out_and_signs_are_words_where_there_are_no_spaces(classifier):
    long = answer(classifier, "rain " * (MOST_WORDS + 50))["parts"]
    assert sum(part["effect"] is not None for part in long) == MOST_WORDS
    assert "".join(part["text"] for part in long) == "rain " * (MOST_WORDS + 50)
    assert [part["text"] for part in answer(classifier, "日本語")["parts"]] == ["日", "本", "語"]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b'{"text": ""}', "There is no text"),
        (b'{"text": " \\n "}', "There is no text"),
        (b'{"text": "\\ud800"}', "has a code that is no character"),
        (b'{"text": 1}', "not valid"),
        (b"{", "not valid"),
        (b"[]", "not valid"),
        (json.dumps({"text": "a" * (page_app.MOST_CHARACTERS + 1)}).encode(), "longer than 100,000 characters"),
    ],
)
def test_a_text_that_cannot_be_answered_gets_one_message(client, body, message):
    for path in ("/api/answer", "/api/teacher"):
        found = error(client.post(path, content=body, headers={"Content-Type": "application/json"}), 400)
        assert re.search(message, found) and "\n" not in found


def test_requests_of_other_pages_and_under_other_names_are_refused(client):
    for host in ("evil.example:8484", "127.0.0.1.evil.example", "", "192.168.0.7"):
        assert client.get("/api/model", headers={"Host": host}).status_code == 400
    for host in ("127.0.0.1:8484", "localhost:8484", "localhost"):
        assert client.get("/api/model", headers={"Host": host}).status_code == 200
    for origin in ("http://evil.example", "null", "http://127.0.0.1:9999", "https://127.0.0.1:8484"):
        found = client.post("/api/answer", json={"text": "rain"}, headers={"Origin": origin})
        assert "Another page" in error(found, 403)
    assert client.post("/api/answer", json={"text": "rain"}, headers={"Origin": ADDRESS}).status_code == 200


def test_the_page_has_no_address_of_another_server_and_a_policy_that_forbids_one(client):
    page = client.get("/")
    assert page.status_code == 200 and "Try the model" in page.text
    policy = page.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy and "http" not in policy
    for file in ("/", "/page.css", "/page.js"):
        found = client.get(file)
        assert found.status_code == 200 and found.headers["Content-Security-Policy"] == policy
        assert not re.search(r"https?://|//\w+\.\w|innerHTML|insertAdjacentHTML|document\.write|\son\w+=\"", found.text)
    assert [client.get(path).status_code for path in ("/docs", "/openapi.json", "/../app.py")] == [404] * 3


def test_a_body_that_is_too_large_or_has_no_length_is_refused(client, monkeypatch):
    monkeypatch.setattr(page_app, "MOST_BYTES", 2**20)
    assert "more than 1 MB" in error(client.post("/api/lines", content=b"x" * (2**20 + 1)), 413)
    assert error(client.post("/api/lines", content=iter([b"rain"])), 411)


def test_pasted_lines_become_as_many_labelled_rows(client, classifier):
    texts = ["goal", "", 'a "quoted", text', "=1+1", "日本 💥\u2028x", "<b>rain</b>"]
    rows = read(client.post("/api/lines", content="\r\n".join([*texts, ""]).encode()))
    assert [row["text"] for row in rows] == texts
    labels_match(rows, classifier, texts)
    assert "no text" in error(client.post("/api/lines", content=b"\n \n"), 400)
    assert "not UTF-8" in error(client.post("/api/lines", content=b"\xff"), 400)


@pytest.mark.parametrize("name", ["in.csv", "in.tsv", "in.jsonl", "in.parquet", "labels.csv", "../a/in.csv"])
def test_a_table_keeps_its_rows_and_columns(client, classifier, tmp_path, name):
    texts = [text for text, _ in texts_and_labels(2300)]
    texts[3] = 'a "quoted" goal,\nand a second line of the match'
    table = pd.DataFrame({"id": [f"{n:03d}" for n in range(2300)], "body; raw": texts, "when": "2024-01-01"})
    file = tmp_path / Path(name).name
    match file.suffix:
        case ".csv":
            table.to_csv(file, index=False, sep=";")
        case ".tsv":
            table.to_csv(file, index=False, sep="\t")
        case ".jsonl":
            table.to_json(file, orient="records", lines=True)
        case _:
            table.to_parquet(file)
    found = client.post("/api/columns", params={"name": name}, content=file.read_bytes()).json()
    assert found["rows"] == 2300 and found["choose"] == "body; raw" and "id" in found["columns"]
    query = {"name": name, "column": "body; raw"}
    rows = read(client.post("/api/table", params=query, content=file.read_bytes()))
    assert list(rows[0]) == [*table, "label", "probability", "deferred"]
    assert [[row[column] for column in table] for row in rows] == table.to_numpy().tolist()
    labels_match(rows, classifier, texts)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("in.csv", b"", "in.csv"),
        ("in.xlsx", b"PK\x03\x04", "xlsx"),
        ("in.csv", b"PK\x03\x04", "in.csv is a ZIP file or an Excel workbook"),
        ("in.csv", b"text\n", "in.csv has columns but no rows"),
        ("in.csv", "text\ndéjà vu\n".encode("latin-1"), "Set --encoding cp1252.*options of `stillhouse score`"),
        ("in.csv", b"text,label\ngoal,sport\n", "in.csv has a column 'label' already"),
        ("in.csv", b"review\ngoal\n", "has no column 'text'"),
        ("in.jsonl", b'{"text": "goal", "tags": [1]}\n', "labels.csv cannot hold"),
        ("in.parquet", b"rotten", "in.parquet"),
    ],
)
def test_a_table_that_cannot_be_labelled_gets_one_message_without_a_path(client, name, content, message):
    found = error(client.post("/api/table", params={"name": name, "column": "text"}, content=content), 400)
    assert re.search(message, found, re.DOTALL) and "/tmp" not in found and "stillhouse-try" not in found
