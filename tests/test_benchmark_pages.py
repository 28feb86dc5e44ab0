"""The pages of the benchmarks have the stored results, and requests to servers are counted right."""

import json
import shutil

import pytest
from project import ROOT

from benchmarks.many_page import page
from benchmarks.results import write_results

BENCHMARKS = ROOT / "benchmarks"

LOG = """
INFO:     127.0.0.1:5 - "POST /api/flow_runs/0190b4c2-1111-7222-8333-0123456789ab/set_state HTTP/1.1" 201 Created
2026/11/28 09:00:00 INFO:     127.0.0.1:5 - "GET /api/2.0/mlflow/runs/get?run_id=0123456789abcdef0123456789abcdef HTTP/1.1" 200 OK
2026/11/28 09:00:00 INFO:     127.0.0.1:5 - "PUT /api/2.0/mlflow-artifacts/artifacts/1/0a/artifacts/a.html HTTP/1.1" 500
2026/11/28 09:00:00 INFO:     127.0.0.1:5 - "PUT /api/2.0/mlflow-artifacts/artifacts/2/0b/artifacts/b HTTP/1.1" 200 OK
2026/11/28 09:00:00 INFO:     127.0.0.1:5 - "GET /api/2.0/mlflow-artifacts/presigned/2/models/m-0b/MLmodel HTTP/1.1" 200 OK
INFO:     127.0.0.1:6 - "WebSocket /api/events/in" [accepted]
INFO:     connection open
"""


def test_requests_are_counted_by_endpoint():
    for name in ("boto3", "psycopg2"):
        pytest.importorskip(name)
    from benchmarks.many_servers import requests_in

    requests, failed = requests_in(LOG)
    assert requests == {
        "POST /api/flow_runs/*/set_state": 1,
        "GET /api/2.0/mlflow/runs/get": 1,
        "PUT /api/2.0/mlflow-artifacts/artifacts/*": 2,
        "GET /api/2.0/mlflow-artifacts/presigned/*": 1,
        "WebSocket /api/events/in": 1,
    }
    assert failed == 1


def test_the_page_of_many_projects_has_the_measured_numbers():
    results = json.loads((BENCHMARKS / "results" / "many" / "projects.json").read_text(encoding="utf-8"))
    assert page(results) == (BENCHMARKS / "MANY.md").read_text(encoding="utf-8")


def test_the_page_of_results_has_the_measured_numbers(tmp_path):
    shutil.copy(BENCHMARKS / "NOTES.md", tmp_path)
    write_results(BENCHMARKS / "results", tmp_path / "RESULTS.md")
    written = (tmp_path / "RESULTS.md").read_text(encoding="utf-8")
    assert written == (BENCHMARKS / "RESULTS.md").read_text(encoding="utf-8")
