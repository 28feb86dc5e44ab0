"""The registered model behind MLflow's own scoring server: every form of request, and what is none."""

import io
import json

import mlflow
import numpy as np
import pandas as pd
import pytest
from fastapi.testclient import TestClient
from mlflow.pyfunc import scoring_server

TEXTS = ["rain and wind and storm", "the team and the coach"]
LABELS = ["weather", "sport"]
JSON, CSV = "application/json", "text/csv"


@pytest.fixture(scope="module")
def model(finished):
    mlflow.set_tracking_uri(f"sqlite:///{finished.folder}/mlflow.db")
    return mlflow.pyfunc.load_model("models:/topics/1")


@pytest.fixture(scope="module")
def server(model):
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("_MLFLOW_IS_IN_SERVING_ENVIRONMENT", "false")  # which the server sets
        yield TestClient(scoring_server.init(model), raise_server_exceptions=False)


def test_a_request_can_set_its_own_threshold(server):
    for least, deferred in ((0.0, [False, False]), (1.0, [True, True])):
        answer = ask(server, {"inputs": TEXTS, "params": {"min_confidence": least}})
        assert answer.status_code == 200, answer.text
        assert [row["deferred"] for row in answer.json()["predictions"]] == deferred
    refused = ask(server, {"inputs": TEXTS, "params": {"min_confidence": 7}})
    assert refused.status_code == 400 and "must be from 0 to 1" in refused.text


def ask(server, body, kind=JSON):
    content = body if isinstance(body, str | bytes) else json.dumps(body)
    return server.post("/invocations", content=content, headers={"Content-Type": kind})


@pytest.mark.parametrize(
    "body",
    [
        {"inputs": TEXTS},
        {"inputs": [[text] for text in TEXTS]},
        {"inputs": {"text": TEXTS}},
        {"inputs": {"review": TEXTS}},
        {"inputs": [{"text": text} for text in TEXTS]},
        {"instances": TEXTS},
        {"instances": [{"text": text} for text in TEXTS]},
        {"instances": [{"id": 1, "text": text} for text in TEXTS]},
        {"dataframe_split": {"columns": ["text"], "data": [[text] for text in TEXTS]}},
        {"dataframe_split": {"columns": ["Kommentar"], "index": [7, 3], "data": [[text] for text in TEXTS]}},
        {"dataframe_split": {"data": [[text] for text in TEXTS]}},
        {"dataframe_split": {"columns": ["title", "text"], "data": [["the team", text] for text in TEXTS]}},
        {"dataframe_records": [{"text": text} for text in TEXTS]},
        {"dataframe_records": [{"review": text} for text in TEXTS]},
        {"dataframe_records": [{"id": 4, "text": text, "note": None} for text in TEXTS]},
    ],
)
def test_every_form_of_json_is_answered(server, body):
    answer = ask(server, body)
    assert answer.status_code == 200, answer.text
    rows = answer.json()["predictions"]
    assert [row["label"] for row in rows] == LABELS and all(0 < row["probability"] <= 1 for row in rows)


@pytest.mark.parametrize("table", [{"text": TEXTS}, {"review": TEXTS}, {"id": [1, 2], "text": TEXTS}])
def test_csv_and_parquet_are_answered(server, table):
    frame, parquet = pd.DataFrame(table), io.BytesIO()
    frame.to_parquet(parquet)
    for content, kind in ((frame.to_csv(index=False), CSV), (parquet.getvalue(), "application/vnd.apache.parquet")):
        answer = ask(server, content, kind)
        assert answer.status_code == 200, answer.text
        assert [row["label"] for row in answer.json()["predictions"]] == LABELS


@pytest.mark.parametrize("body", [{"inputs": []}, {"instances": []}, {"dataframe_split": {"columns": ["text"], "data": []}},
                                  {"dataframe_records": []}])  # fmt: skip
def test_no_texts_have_no_answers(server, body):
    answer = ask(server, body)
    assert answer.status_code == 200 and answer.json() == {"predictions": []}, answer.text


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ({"inputs": [1, 2]}, "text 0 is int, not a string"),
        ({"inputs": ["rain", None]}, "text 1 is missing, not a string"),
        ({"inputs": "rain"}, "must be a list of strings, not one str"),
        ({"inputs": {"text": "rain"}}, "must be a list of strings, not one str"),
        ({"inputs": [["a", "b"], ["c", "d"]]}, "text 0 is list, not a string"),
        ({"inputs": {"a": ["x"], "b": ["y"]}}, "its columns are 'a', 'b'"),
        ({"dataframe_split": {"columns": ["title", "body"], "data": [["a", "b"]]}}, "its columns are 'title', 'body'"),
        ({"dataframe_split": {"columns": ["text", "text"], "data": [["a", "b"]]}}, "its columns are 'text', 'text'"),
        ({"dataframe_records": [{"text": 3}]}, "text 0 is int"),
        ({"dataframe_records": [{"text": "a"}, {"text": None}]}, "text 1 is missing"),
        ({"dataframe_records": [{"text": "a"}, {"other": "b"}]}, "text 1 is missing"),
        ({"dataframe_records": [{"text": ["a"]}]}, "text 0 is list"),
        ({"dataframe_records": {"text": "a"}}, "must be a list of records"),
        ({"dataframe_split": {"columns": ["text"]}}, "must have 'data' field"),
        ({"text": "rain"}, "must be a"),
        ({}, "must be a"),
        ("[", "valid JSON"),
    ],
)
def test_what_is_no_list_of_texts_is_refused_with_its_reason(server, body, why):
    answer = ask(server, body)
    assert answer.status_code == 400 and why in answer.json()["message"], answer.text
    assert "Traceback" not in answer.text and "stack_trace" not in answer.json()


def test_csv_that_holds_no_texts_is_refused(server):
    answer = ask(server, "text\n12\n13\n", CSV)
    assert answer.status_code == 400 and "text 0 is int" in answer.json()["message"]


def test_in_python_lists_arrays_series_and_tables_are_answered(model):
    column = pd.Series(TEXTS)
    forms = [TEXTS, tuple(TEXTS), np.array(TEXTS), np.array(TEXTS, dtype=object), column, column.astype("string"),
             column.to_frame("x"), column.astype("category").to_frame("text").assign(id=1)]  # fmt: skip
    for given in forms:
        assert [answer.label for answer in model.predict(given)] == LABELS, given
