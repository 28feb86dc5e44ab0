"""Somebody is told of what fails, once, and a messenger that fails does no harm."""

import contextlib
import http.server
import json
import logging
import socket
import threading
import time

import pytest

from flows import doctor
from flows.shared import notify as messenger
from flows.shared import push as pushing
from flows.shared.notify import notify


def test_a_command_gets_the_message_as_its_last_word(tmp_path):
    notify(f"sh -c 'printf %s \"$1\" > {tmp_path}/told' --", "it's failed; rm -rf /")
    assert (tmp_path / "told").read_text() == "it's failed; rm -rf /"


@contextlib.contextmanager
def hook():
    """A server of messages: its address, and what it got so far."""
    got = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            got.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_):
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", got
        server.shutdown()


def test_a_url_gets_it_as_json():
    with hook() as (address, got):
        notify(f"{address}/hook", "failed")
    assert got == [{"text": "failed"}]


def answering(content: bytes, wait_s: float = 0.0) -> tuple[socket.socket, str]:
    """A server that answers every request with ``content``; its address."""
    server = socket.create_server(("127.0.0.1", 0))

    def serve():
        with contextlib.suppress(OSError):
            while True:
                connection, _ = server.accept()
                with connection:
                    connection.recv(65536)
                    time.sleep(wait_s)
                    connection.sendall(content)

    threading.Thread(target=serve, daemon=True).start()
    return server, f"http://127.0.0.1:{server.getsockname()[1]}"


NO_WEB_SERVER = {
    "garbage": b"220 mail.example.org ESMTP\r\n",
    "nothing": b"",
    "half a header": b"HTTP/1.1 200 OK\r\nContent-",
    "a bad header": b"HTTP/1.1 200 OK\r\n\x00\xff\r\n\r\n",
    "an error": b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n",
    "a redirect": b"HTTP/1.1 302 Found\r\nLocation: http://other.example.org/hush\r\nContent-Length: 0\r\n\r\n",
    "a bad redirect": b"HTTP/1.1 302 Found\r\nLocation: http://[\r\nContent-Length: 0\r\n\r\n",
}


@pytest.mark.parametrize("content", NO_WEB_SERVER.values(), ids=NO_WEB_SERVER)
def test_what_is_no_web_server_fails_nothing_and_doctor_says_so(content, caplog):
    server, address = answering(content)
    with server:
        notify(f"{address}/hush", "failed")
        assert f"the message to {address}/*** was not sent" in caplog.text and "hush" not in caplog.text
        kind, found = doctor._server("MLflow", address, "/health")
        assert kind == "fail" and f"MLflow: {address} does not answer" in found and "hush" not in found


def test_a_server_that_does_not_answer_in_time_is_given_up(monkeypatch, caplog):
    monkeypatch.setattr(messenger, "TIMEOUT_S", 0.2)
    server, address = answering(b"", wait_s=5)
    with server:
        notify(f"{address}/x", "failed")
    assert "ReadTimeout" in caplog.text


@pytest.mark.parametrize(
    "address", ["http://[", "http://", "http://127.0.0.1:99999", "http://ex ample/", "http://\x7f/"]
)
def test_an_invalid_address_is_no_traceback(address, caplog):
    notify(address, "failed")
    assert "was not sent" in caplog.text
    assert doctor._server("MLflow", address, "/health")[0] == "fail"


@pytest.mark.parametrize("target", ["http://u:hush@127.0.0.1:9/x", "/no/such/program", "false", "'open"])
def test_a_messenger_that_fails_is_logged_without_its_password(target, caplog):
    with caplog.at_level(logging.WARNING):
        notify(target, "failed")
    assert "was not sent" in caplog.text and "hush" not in caplog.text
    notify(None, "no target")


@pytest.mark.parametrize(
    ("status", "timed_out", "message"),
    [
        (0, False, None),
        (3, False, "flow.push: dvc push ended with status 3: last line"),
        (1, True, "flow.push: dvc push was stopped after 60 min: last line"),
    ],
)
def test_a_push_that_fails_or_times_out_sends_its_reason(status, timed_out, message, monkeypatch):
    expired, sent = threading.Event(), []
    if timed_out:
        expired.set()

    @contextlib.contextmanager
    def child(*_, **__):
        yield type("Child", (), {"stdout": ["first line\n", "last line\n"], "wait": lambda self: status})(), expired

    monkeypatch.setattr(pushing, "child_process", child)
    monkeypatch.setattr(pushing, "notify", lambda target, text: sent.append((target, text)))
    pushing.push("webhook")
    assert sent == ([("webhook", message)] if message else [])
