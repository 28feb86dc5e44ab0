"""A small HTTP server for one model: ``python -m stillhouse.serving.server MODEL``.

``POST /predict`` answers ``{"text": ...}`` or ``{"texts": [...]}``, ``GET /health`` shows that the model is loaded, and
``GET /metrics`` has the counts for Prometheus. It needs what the serving package needs, and no more. It writes no text
of a request to its log.

Environment variables: ``HOST`` (0.0.0.0), ``PORT`` (8080; 0 takes a free one), ``STILLHOUSE_MAX_BYTES`` (1,048,576) and
``STILLHOUSE_MAX_TEXTS`` (1,000) of a request.
"""

import os
import select
import signal
import socketserver
import sys
import threading
import time
import traceback
from contextlib import suppress
from http.server import ThreadingHTTPServer
from typing import Any

from stillhouse.serving.classifier import Classifier
from stillhouse.serving.counts import Counts
from stillhouse.serving.handler import PATHS, Handler

MOST_BYTES, MOST_TEXTS = 2**20, 1000  # of a request
STOP_S = 8.0  # for the requests in flight; `docker stop` kills after ten seconds
CONNECTIONS = 512  # at once, a thread for each
STOPS = (signal.SIGTERM, signal.SIGINT)


class Server(ThreadingHTTPServer):
    """Answers requests with one classifier, a thread for each connection."""

    daemon_threads = True
    block_on_close = False  # idle connections must not delay the end; `finish` waits for requests
    request_queue_size = 512

    def __init__(
        self,
        address: tuple[str, int],
        classifier: Classifier,
        most_bytes: int = MOST_BYTES,
        most_texts: int = MOST_TEXTS,
    ) -> None:
        """Listen at ``address``.

        Args:
            address: host and port; port 0 takes a free one.
            classifier: answers the texts.
            most_bytes: the largest body of a request.
            most_texts: the largest number of texts in a request.

        Raises:
            OSError: the address cannot be used.
        """
        self.classifier, self.most_bytes, self.most_texts = classifier, most_bytes, most_texts
        self.counts, self.stopping = Counts(), False
        self._room = threading.BoundedSemaphore(CONNECTIONS)
        self._active, self._changed = 0, threading.Condition()
        super().__init__(address, Handler)

    def server_bind(self) -> None:
        """Bind without the look-up of the host's name, which can take seconds."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), self.server_address[1]

    def process_request(self, request: Any, client_address: Any) -> None:
        """Start the connection's thread, or refuse the connection if there are too many."""
        if not self._room.acquire(blocking=False):
            self.counts.request("other", 503)
            with suppress(OSError):
                request.sendall(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Serve a connection until its end."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._room.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Log an error, but not that a client closed its connection."""
        if not isinstance(sys.exception(), ConnectionError | TimeoutError):
            traceback.print_exc()

    def begin(self) -> None:
        """Count a request as in flight."""
        with self._changed:
            self._active += 1

    def end(self) -> None:
        """Count a request as answered."""
        with self._changed:
            self._active -= 1
            self._changed.notify_all()

    def finish(self) -> bool:
        """Answer the requests in flight and those that wait for a connection. Returns whether all were answered."""
        self.stopping = True
        deadline = time.monotonic() + STOP_S
        for _ in range(self.request_queue_size):
            if not select.select([self], [], [], 0)[0]:
                break
            self.handle_request()
        time.sleep(0.1)  # the threads of the last connections begin
        with self._changed:
            return self._changed.wait_for(lambda: not self._active, max(deadline - time.monotonic(), 0))


def main() -> None:
    """Serve the model that the first argument names until SIGTERM or SIGINT.

    Requests in flight are answered, then the process ends with status 0. A mistake of the user ends it with a message
    and status 1.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, STOPS)  # before the threads start, which then leave them to sigwait
    if len(sys.argv) != 2:
        sys.exit("Name the folder of a model: python -m stillhouse.serving.server MODEL")
    host, port = os.environ.get("HOST") or "0.0.0.0", _number("PORT", 8080, 0, 65_535)
    most_bytes = _number("STILLHOUSE_MAX_BYTES", MOST_BYTES, 1, 2**40)
    most_texts = _number("STILLHOUSE_MAX_TEXTS", MOST_TEXTS, 1, 2**40)
    try:
        classifier = Classifier.load(sys.argv[1])
    except Exception as error:  # the file system, onnxruntime and MLflow raise errors of different types
        sys.exit(f"{sys.argv[1]} cannot be used: {error}")
    try:
        server = Server((host, port), classifier, most_bytes, most_texts)
    except OSError as error:
        sys.exit(f"{host}:{port} cannot be used ({error.strerror}). Set HOST and PORT.")
    classes, least = len(classifier.classes_), classifier.min_confidence
    print(
        f"Stillhouse serves {sys.argv[1]} ({classes} classes, {f'threshold {least:g}' if least else 'no threshold'}) "
        f"at http://{host}:{server.server_port}: {', '.join(f'{method} {path}' for path, method in PATHS.items())}",
        flush=True,
    )
    threading.Thread(target=server.serve_forever, args=(0.1,), daemon=True).start()
    number = signal.sigwait(STOPS)
    server.shutdown()
    answered = server.finish()
    server.server_close()
    end = "all requests are answered" if answered else f"some requests took longer than {STOP_S:g} s"
    print(f"Stopped by {signal.Signals(number).name}: {end}.", flush=True)
    sys.stdout.flush()
    os._exit(0 if answered else 1)  # without waiting for idle connections


def _number(name: str, default: int, least: int, most: int) -> int:
    text = os.environ.get(name) or str(default)
    if not (text.isascii() and text.isdigit() and len(text) < 15 and least <= int(text) <= most):
        sys.exit(f"The environment variable {name} is {text!r}; it must be a whole number from {least} to {most}.")
    return int(text)


if __name__ == "__main__":
    main()
