"""Somebody is told of what fails, once, and a messenger that fails does no harm."""

import http.server
import json
import logging
import threading

import pytest

from flows.shared.notify import notify


def test_a_command_gets_the_message_as_its_last_word(tmp_path):
    notify(f"sh -c 'printf %s \"$1\" > {tmp_path}/told' --", "it's failed; rm -rf /")
    assert (tmp_path / "told").read_text() == "it's failed; rm -rf /"


def test_a_url_gets_it_as_json():
    got = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            got.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_):
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.handle_request, daemon=True).start()
        notify(f"http://127.0.0.1:{server.server_port}/hook", "failed")
    assert got == [{"text": "failed"}]


@pytest.mark.parametrize("target", ["http://u:hush@127.0.0.1:9/x", "/no/such/program", "false", "'open"])
def test_a_messenger_that_fails_is_logged_without_its_password(target, caplog):
    with caplog.at_level(logging.WARNING):
        notify(target, "failed")
    assert "could not be told" in caplog.text and "hush" not in caplog.text
    notify(None, "nobody asked")


def test_a_failed_run_and_a_refused_gate_are_told(project):
    told = project.folder / "told"
    command = f'sh -c \'printf "%s\\n" "$1" >> {told}\' --'
    project.set(flow__notify=command, flow__heartbeat=command, register__max_size_mb=0.001)
    project.set(compress__quantisation="int8")  # another student, which the gate does not let pass
    done = project.flow()
    assert done.returncode == 0, done.stdout
    assert "topics version 2 did not pass its gate" in told.read_text()
    assert told.read_text().splitlines()[-1] == "topics: a run ended well; version 2 is the newest"
    project.set(data__path="data/gone.csv")
    assert project.flow().returncode == 1
    assert "failed: " in told.read_text().splitlines()[-1] and "data/gone.csv does not exist" in told.read_text()
