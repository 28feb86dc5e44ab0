"""Limits on requests and tokens a minute, and the server's own waits, for all threads of a run."""

import threading
import time

from stillhouse.labelling.language_model.budget import Stopped


class Pace:
    """Spreads calls evenly over time."""

    def __init__(self, requests_per_minute: int | None, tokens_per_minute: int | None, stop: threading.Event) -> None:
        """None is no limit. ``stop`` ends every wait."""
        self._per_request = 60 / requests_per_minute if requests_per_minute else 0.0
        self._per_token = 60 / tokens_per_minute if tokens_per_minute else 0.0
        self._stop, self._lock = stop, threading.Lock()
        self._request_at = self._token_at = self._resume_at = 0.0

    def wait(self, tokens: int) -> None:
        """Wait until a call with so many tokens may be sent.

        Raises:
            Stopped: the run ends.
        """
        with self._lock:
            start = max(time.monotonic(), self._request_at, self._token_at)
            self._request_at = start + self._per_request
            self._token_at = start + tokens * self._per_token
        self.sleep(start - time.monotonic())
        while (rest := self._resume_at - time.monotonic()) > 0:
            self.sleep(rest)
        if self._stop.is_set():
            raise Stopped

    def correct(self, estimated: int, counted: int) -> None:
        """Give back the time of tokens that a call did not use."""
        with self._lock:
            self._token_at -= (estimated - counted) * self._per_token

    def pause(self, seconds: float) -> None:
        """Send no call of any thread for so long, as the server requires."""
        with self._lock:
            self._resume_at = max(self._resume_at, time.monotonic() + seconds)

    def sleep(self, seconds: float) -> None:
        """Sleep, unless the run ends.

        Raises:
            Stopped: the run ends.
        """
        if seconds > 0 and self._stop.wait(seconds):
            raise Stopped
