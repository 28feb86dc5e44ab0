"""A line in the log when a stage has printed nothing for a minute, so that a reader knows that it is at work."""

import threading
import time
from collections.abc import Callable
from contextvars import copy_context
from types import TracebackType

SILENCE_S = 60.0


class Heartbeat:
    """Within its block, calls ``log`` after each minute in which :meth:`beat` was not called."""

    def __init__(self, name: str, log: Callable[[str], None], silence_s: float = SILENCE_S) -> None:
        """``name`` is that of the stage."""
        self._name, self._log, self._silence = name, log, silence_s
        self._ended = threading.Event()
        self._start = self._last = time.monotonic()
        # In the context of this thread: Prefect's logger otherwise starts a server of its own.
        self._thread = threading.Thread(target=copy_context().run, args=(self._watch,), daemon=True)

    def beat(self) -> None:
        """Note that the stage has printed a line."""
        self._last = time.monotonic()

    def __enter__(self) -> "Heartbeat":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._ended.wait(max(0.01, self._last + self._silence - time.monotonic())):
            now = time.monotonic()
            if now - self._last >= self._silence:
                self._last = now
                self._log(f"{self._name} is at work, {(now - self._start) / 60:.0f} min so far")
