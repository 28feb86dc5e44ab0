"""What the HTTP server counts, in Prometheus' text format."""

import threading
from bisect import bisect_left
from collections import Counter

BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)  # seconds
FORMAT = "text/plain; version=0.0.4; charset=utf-8"


class Counts:
    """Counters of requests, errors, texts and deferred texts, and a histogram of the time of a prediction.

    Several threads can use one object.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._requests: Counter[tuple[str, int]] = Counter()
        self._buckets = [0] * (len(BOUNDS) + 1)
        self._seconds = 0.0
        self._texts = self._deferred = 0

    def request(self, path: str, status: int) -> None:
        """Count an answered request; ``path`` is one of the server's paths, or ``other``."""
        with self._lock:
            self._requests[path, status] += 1

    def prediction(self, texts: int, deferred: int, seconds: float) -> None:
        """Count the texts of one request, and the time from its body to its answers."""
        with self._lock:
            self._texts += texts
            self._deferred += deferred
            self._seconds += seconds
            self._buckets[bisect_left(BOUNDS, seconds)] += 1

    def text(self) -> str:
        """All numbers as the page that Prometheus reads."""
        with self._lock:
            requests, buckets = sorted(self._requests.items()), list(self._buckets)
            texts, deferred, seconds = self._texts, self._deferred, self._seconds
        errors = sum(count for (_, status), count in requests if status >= 400)
        lines = _head("stillhouse_requests_total", "counter", "Answered requests by path and status.")
        lines += [f'stillhouse_requests_total{{path="{p}",status="{s}"}} {count}' for (p, s), count in requests]
        for name, value, help_text in (
            ("stillhouse_errors_total", errors, "Requests that were answered with status 400 or above."),
            ("stillhouse_texts_total", texts, "Texts that were classified."),
            ("stillhouse_deferred_total", deferred, "Texts whose answer was deferred."),
        ):
            lines += [*_head(name, "counter", help_text), f"{name} {value}"]
        lines += _head("stillhouse_predict_seconds", "histogram", "Time of a prediction, from the body to the answers.")
        total = 0
        for bound, count in zip([*map(str, BOUNDS), "+Inf"], buckets, strict=True):
            total += count
            lines.append(f'stillhouse_predict_seconds_bucket{{le="{bound}"}} {total}')
        lines += [f"stillhouse_predict_seconds_sum {seconds:.6f}", f"stillhouse_predict_seconds_count {total}"]
        return "\n".join(lines) + "\n"


def _head(name: str, kind: str, help_text: str) -> list[str]:
    return [f"# HELP {name} {help_text}", f"# TYPE {name} {kind}"]
