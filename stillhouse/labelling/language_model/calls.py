"""Answers to requests: from the cache, or else from the server, paid for and stored."""

import hashlib
import json
import logging
import math
import threading
from itertools import takewhile
from pathlib import Path
from types import TracebackType
from typing import Any

from stillhouse.labelling.language_model.budget import Budget
from stillhouse.labelling.language_model.cache import Cache
from stillhouse.labelling.language_model.client import Client, Rejected, Reply
from stillhouse.labelling.language_model.pace import Pace
from stillhouse.params import Label

TOKENS = 12  # of an answer, whose log-probabilities are stored
FILTERED = ("content_filter", "content_policy", "content management policy")
logger = logging.getLogger(__name__)


class Calls:
    """The calls of one run. A context manager; threads may share it."""

    def __init__(self, settings: Label, folder: Path) -> None:
        """Read the cache in ``folder``. Nothing is sent, and the folder is not made, before :meth:`get`.

        Raises:
            BadInput: a damaged line in the cache; a URL or key that cannot be used.
        """
        self.settings = settings
        self.stop = threading.Event()
        self.cache = Cache(folder)
        self.budget = Budget(self.cache, settings.price, settings.max_cost, self.stop)
        pace = Pace(settings.requests_per_minute, settings.tokens_per_minute, self.stop)
        self.client = Client(settings, self.budget, pace)
        self.sent, self.prompt_tokens, self.completion_tokens = 0, 0, 0
        self._before: float | None = None
        self._mutex = threading.Lock()

    def __enter__(self) -> "Calls":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.client.close()
        self.cache.close()

    @property
    def dollars(self) -> float:
        """The price of this run's calls."""
        return 0.0 if self._before is None else self.cache.dollars - self._before

    def key(self, body: dict[str, Any], sample: int) -> str:
        """The digest of a request: server, complete request and the sample's index."""
        parts = json.dumps([self.client.url, body, sample], sort_keys=True, ensure_ascii=True)
        return hashlib.sha256(parts.encode()).hexdigest()

    def find(self, body: dict[str, Any], sample: int = 0) -> dict[str, Any] | None:
        """The stored answer to a request, or None. It has ``choices``, or ``rejected`` and ``message``."""
        return self.cache.get(self.key(body, sample))

    def begin(self) -> bool:
        """Take the cache's lock, before the first call is sent. Waits for another process that has it.

        Returns:
            Whether the lock was taken now. There may then be further answers, of another process.
        """
        with self._mutex:
            if self._before is not None:
                return False
            self.cache.begin_adding(logger.info)
            self._before = self.cache.dollars
            return True

    def get(self, body: dict[str, Any], sample: int = 0, probe: bool = False) -> dict[str, Any]:
        """The stored answer, or that of the server, which is stored first.

        Args:
            body: the request.
            sample: distinguishes answers to equal requests.
            probe: whether to store a rejection, too, and to give up at once if there is no connection.

        Raises:
            Rejected: the server does not accept the request. One that its content filter stops is an answer.
            Exception: what :meth:`Client.send` raises.
        """
        found = self.find(body, sample)
        if found is None:  # another process may have stored it until the lock is taken
            self.begin()
            found = self.find(body, sample)
        if found is not None:
            return found
        line: dict[str, Any] = {"key": self.key(body, sample), "model": self.settings.model, "sample": sample}
        line |= {"server": _host(self.client.url), "bytes": 0, "seconds": 0.0, "usage": None, "dollars": 0.0}
        try:
            reply = self.client.send(body, patient=not probe)
        except Rejected as error:
            if not probe and not any(sign in error.message.lower() for sign in FILTERED):
                raise
            line |= {"rejected": error.status, "message": error.message}
            self.cache.add(line)
            return line
        try:
            line |= self._answer(body, reply, probe)
            self.cache.add(line)
        finally:
            self.budget.end(reply.call)
        with self._mutex:
            self.sent += 1
            self.prompt_tokens += line["usage"]["prompt_tokens"] if line["usage"] else 0
            self.completion_tokens += line["usage"]["completion_tokens"] if line["usage"] else 0
        return line

    def _answer(self, body: dict[str, Any], reply: Reply, probe: bool) -> dict[str, Any]:
        usage = _usage(reply.content.get("usage"))
        if usage is None:  # the server does not report it
            dollars = reply.call.worst
        else:
            dollars = self.budget.cost(usage["prompt_tokens"], usage["completion_tokens"])
        return {
            "call": reply.call.id,
            "bytes": 0 if probe else size(body),
            "seconds": round(reply.seconds, 3),
            "usage": usage,
            "dollars": dollars,
            "choices": [_choice(choice) for choice in reply.content["choices"]],
        }


def size(body: dict[str, Any]) -> int:
    """Bytes of a request."""
    return len(json.dumps(body, ensure_ascii=False).encode())


def _host(url: str) -> str:
    return url.partition("://")[2].partition("/")[0].rpartition("@")[2]


def _usage(usage: Any) -> dict[str, int] | None:
    try:
        return {name: max(0, int(usage[name])) for name in ("prompt_tokens", "completion_tokens")}
    except (TypeError, KeyError, ValueError):
        return None


def _choice(choice: dict[str, Any]) -> dict[str, Any]:
    """The parts of an answer that are needed: text, reason of the end, and tokens with log-probabilities."""
    message = choice["message"]
    made: dict[str, Any] = {"content": message.get("content") or "", "finish": choice.get("finish_reason")}
    if not isinstance(made["content"], str):  # some servers answer with a list of parts
        parts = made["content"] if isinstance(made["content"], list) else []
        made["content"] = "".join(str(part.get("text") or "") for part in parts if isinstance(part, dict))
    if message.get("refusal"):
        made["refusal"] = str(message["refusal"])
    logprobs = choice.get("logprobs")
    tokens = logprobs.get("content") if isinstance(logprobs, dict) else None
    if isinstance(tokens, list):
        made["tokens"] = list(takewhile(bool, map(_token, tokens[:TOKENS])))
    return made


def _token(one: Any) -> dict[str, Any] | None:
    """A token and the log-probabilities of the likely tokens at its place; None if they cannot be read."""
    try:
        others = {str(other["token"]): float(other["logprob"]) for other in one.get("top_logprobs") or []}
        others.setdefault(str(one["token"]), float(one["logprob"]))
    except (TypeError, KeyError, ValueError, AttributeError):
        return None
    if any(math.isnan(logarithm) for logarithm in others.values()):
        return None
    return {"token": str(one["token"]), "top": [[token, round(value, 6)] for token, value in others.items()]}
