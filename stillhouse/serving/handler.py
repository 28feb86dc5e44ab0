"""The requests of one connection of the HTTP server."""

import json
import socket
import time
import traceback
from contextlib import suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any

from stillhouse.serving.counts import FORMAT
from stillhouse.serving.request import Refused, Request

if TYPE_CHECKING:
    from stillhouse.serving.server import Server

PATHS = {"/predict": "POST", "/health": "GET", "/metrics": "GET"}
IDLE_S = 60.0  # after which a silent connection is closed
LINGER_S = 2.0  # in which the rest of a refused body is read, so that the client gets the response


class Handler(BaseHTTPRequestHandler):
    """Reads requests, and answers them with JSON."""

    server: "Server"
    protocol_version = "HTTP/1.1"
    timeout = IDLE_S
    disable_nagle_algorithm = True
    wbufsize = 2**16  # head and body leave in one packet
    _counted = False
    _unread = False  # whether the request has a body that was not read

    def version_string(self) -> str:
        """The header ``Server``, without the version of Python."""
        return "stillhouse"

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing: an address can hold private data, and Prometheus has the counts."""

    def handle_one_request(self) -> None:
        """Answer one request. It is in flight from its first line on."""
        try:
            super().handle_one_request()
        finally:
            if self._counted:
                self._counted = False
                self.server.end()

    def parse_request(self) -> bool:
        """Read the head of a request."""
        self._counted, self._unread = True, False
        self.server.begin()
        found = super().parse_request()
        if found:
            length = self.headers.get("Content-Length", "0")
            self._unread = length != "0" or "Transfer-Encoding" in self.headers
        return found

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Answer a request that :class:`BaseHTTPRequestHandler` refuses."""
        self.close_connection = True
        self._send_json(code, {"error": f"{message or HTTPStatus(code).phrase}."})

    def do_GET(self) -> None:
        """Answer a request with any method."""
        path = self.path.partition("?")[0]
        try:
            if path not in PATHS:
                raise Refused(404, f"There is no such path. There are {', '.join(PATHS)}.")
            if self.command != PATHS[path]:
                raise Refused(405, f"{path} needs the method {PATHS[path]}, not {self.command}.")
            if path == "/metrics":
                self._send(200, self.server.counts.text().encode(), FORMAT)
            elif path == "/health":
                self._send_json(200, {"status": "ok", "classes": len(self.server.classifier.classes_)})
            else:
                self._send_json(200, self._predictions(self._body()))
        except Refused as refused:
            self._send_json(refused.status, {"error": str(refused)})
        except (ConnectionError, TimeoutError):
            raise  # the client is gone
        except Exception:
            traceback.print_exc()
            self._send_json(500, {"error": "The server failed to answer. Its log has the reason."})

    do_POST = do_PUT = do_PATCH = do_DELETE = do_GET

    def _body(self) -> bytes:
        length = self.headers.get("Content-Length")
        if length is None or "Transfer-Encoding" in self.headers:
            raise Refused(411, "The request needs the header Content-Length.")
        if not (length.isascii() and length.isdigit()):
            raise Refused(400, "The header Content-Length is not a number.")
        if len(length) > 15 or int(length) > self.server.most_bytes:
            raise Refused(413, f"The body is larger than the limit of {self.server.most_bytes:,} bytes.")
        body = self.rfile.read(int(length))
        self._unread = False
        return body

    def _predictions(self, body: bytes) -> dict[str, Any]:
        start = time.perf_counter()
        request = Request.read(body, self.server.most_texts)
        answers = self.server.classifier.answer(request.texts, request.min_confidence)
        reply = request.reply(answers)
        self.server.counts.prediction(len(answers), int(answers.deferred.sum()), time.perf_counter() - start)
        return reply

    def _send_json(self, status: int, content: dict[str, Any]) -> None:
        self._send(status, json.dumps(content).encode() + b"\n", "application/json")

    def _send(self, status: int, body: bytes, kind: str) -> None:
        path = getattr(self, "path", "").partition("?")[0]
        self.server.counts.request(path if path in PATHS else "other", status)
        self.close_connection = self.close_connection or self._unread or self.server.stopping
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        if status == 405:
            self.send_header("Allow", PATHS[path])
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()
        if self._unread:
            self._linger()

    def _linger(self) -> None:
        """Read what the client still sends: if the connection were closed now, the response could be lost."""
        deadline = time.monotonic() + LINGER_S
        with suppress(OSError):
            self.connection.shutdown(socket.SHUT_WR)
            while (left := deadline - time.monotonic()) > 0:
                self.connection.settimeout(left)
                if not self.connection.recv(2**16):
                    return
