"""One call of OpenAI's chat protocol: ``POST {url}/chat/completions``, with waits and retries."""

import json
import logging
import os
import random
import time
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any

import httpx

from stillhouse.errors import BadInput, Unavailable
from stillhouse.labelling.language_model.budget import Budget, Reservation
from stillhouse.labelling.language_model.pace import Pace
from stillhouse.labelling.language_model.tokens import most_tokens
from stillhouse.params import Label
from stillhouse.secrets import masked

FIRST_WAIT_S, LONGEST_WAIT_S = 1.0, 60.0
LONGEST_PAUSE_S = 900.0  # longest Retry-After that is waited for
CHAT_TEMPLATE = 256  # tokens that a server may add to a prompt
RETRIED = {408, 409, 429}
PERHAPS_PAID = {408, 504}  # a gateway's time-out: the model may have answered
NO_CREDIT = ("insufficient_quota", "billing_hard_limit_reached", "billing_not_active")
TOO_LONG = ("context_length_exceeded", "exceed_context_size", "context length", "context size", "context window")
SHOWN = 300  # characters of a server's message
for _name in ("httpx", "httpcore"):
    logging.getLogger(_name).setLevel(logging.WARNING)  # it logs each address, which may have a password


class Rejected(Exception):
    """The server refuses this request as it is (400, 413, 422): an option or a text that it does not accept."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status, self.message = status, message


class Failed(Unavailable):
    """A call got no answer after all retries."""


@dataclass(frozen=True)
class Reply:
    """The server's answer to a call, and the reservation that it settles."""

    content: dict[str, Any]
    seconds: float
    call: Reservation


class Client:
    """Sends calls. Threads may share it."""

    def __init__(self, settings: Label, budget: Budget, pace: Pace) -> None:
        """Read the key from the environment.

        Raises:
            BadInput: the URL or the key cannot be used.
        """
        self.settings, self.budget, self.pace = settings, budget, pace
        self.url = settings.url.rstrip("/").removesuffix("/chat/completions")
        self._key = (os.environ.get(settings.key, "") if settings.key else "").strip()
        headers = {"Content-Type": "application/json"}
        if self._key:
            headers["Authorization"] = f"Bearer {self._key}"
        try:
            limits = httpx.Limits(max_connections=settings.concurrency, max_keepalive_connections=settings.concurrency)
            self._http = httpx.Client(headers=headers, timeout=settings.timeout_s, limits=limits)
            scheme = httpx.URL(self.url).scheme
        except (httpx.InvalidURL, UnicodeError, ValueError):
            raise BadInput(
                f"label.url ({masked(self.url)}) is no address, or the key in the environment variable {settings.key} "
                "has characters that a header cannot have."
            ) from None
        if scheme not in ("http", "https"):
            raise BadInput(f"label.url ({masked(self.url)}) must start with http:// or https://.")

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def send(self, body: dict[str, Any], patient: bool = True) -> Reply:
        """Send one request, and again after a failure that may pass.

        The caller stores the answer and then ends the reservation ``Reply.call``.

        Args:
            body: the request.
            patient: whether to retry if no connection can be made; without it that is an error at once.

        Raises:
            Rejected: 400, 413 or 422.
            Failed: no answer after all retries.
            Unavailable: no connection (not ``patient``), or the server asks for a very long wait.
            BadInput: the key, the model or the address is wrong, the account has no credit, or the text is longer
                than the model's context.
            AtCap: the price cap is reached.
            Stopped: the run ends.
        """
        data = json.dumps(body, ensure_ascii=False).encode()
        prompt = most_tokens(data) + CHAT_TEMPLATE
        answer = body.get("max_tokens", body.get("max_completion_tokens", 0)) * body.get("n", 1)
        for attempt in range(self.settings.retries + 1):
            if attempt:
                self.pace.sleep(min(LONGEST_WAIT_S, FIRST_WAIT_S * 2 ** (attempt - 1)) * random.uniform(0.75, 1.25))
            self.pace.wait(prompt + answer)
            call = self.budget.reserve(prompt, answer)
            unpaid = answered = False
            try:
                start = time.monotonic()
                status, headers, content = self._post(data)
                problem = _problem(status, content)
                if problem is None and _valid(content):
                    usage = content.get("usage") or {}
                    counted = int(usage.get("prompt_tokens") or 0)
                    self.pace.correct(prompt + answer, counted + int(usage.get("completion_tokens") or 0))
                    self.budget.learn(prompt, counted)
                    answered = True
                    return Reply(content, time.monotonic() - start, call)
                reason = "an answer that is not the protocol's JSON; is label.url the address up to and including /v1?"
                if "html" in headers.get("content-type", "") and not patient and problem is None:
                    raise BadInput(
                        f"{masked(self.url)} answers with a web page: label.url must be the address of the API, up to "
                        "and including /v1."
                    )
                if problem is not None:
                    unpaid = problem[0] not in PERHAPS_PAID
                    reason = f"status {problem[0]}: {self.shown(problem[1])}"
                    self._refuse(*problem)
                    self._pause_for(headers)
            except httpx.HTTPError as error:
                unpaid = isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout)
                reason = f"{type(error).__name__}: {self.shown(str(error))}"
                if isinstance(error, httpx.UnsupportedProtocol | httpx.LocalProtocolError):
                    raise BadInput(f"label.url ({masked(self.url)}) cannot be called: {reason}.") from None
                if unpaid and not patient:
                    raise Unavailable(
                        f"No server answers at label.url, {masked(self.url)} ({reason}). Start it, or correct the URL."
                    ) from None
            finally:
                if not answered:
                    self.budget.end(call, unpaid)
        raise Failed(f"{masked(self.url)} gave no answer in {self.settings.retries + 1} tries; the last one: {reason}")

    def _post(self, data: bytes) -> tuple[int, httpx.Headers, Any]:
        """The status, headers and JSON of one try; the content is None if it is not JSON."""
        deadline = time.monotonic() + self.settings.timeout_s
        parts = []
        with self._http.stream("POST", f"{self.url}/chat/completions", content=data) as response:
            for part in response.iter_bytes():
                parts.append(part)
                if time.monotonic() > deadline:
                    raise httpx.ReadTimeout("the answer was not complete in time")
        try:
            return response.status_code, response.headers, json.loads(b"".join(parts))
        except ValueError:
            text = b"".join(parts).decode("utf-8", "replace")
            return response.status_code, response.headers, None if response.is_success else {"message": text}

    def _refuse(self, status: int, message: str) -> None:
        """Raise for a status that a retry does not change."""
        shown, where = self.shown(message), masked(self.url)
        if status == 402 or any(sign in message for sign in NO_CREDIT):
            raise BadInput(f"{where}: the account has no credit left ({shown}). All answers so far are stored.")
        if status in RETRIED or status >= 500:
            return
        if status in (401, 403):
            key = f"the key in the environment variable {self.settings.key}" if self._key else "a call without a key"
            unset = f" {self.settings.key} is not set." if self.settings.key and not self._key else ""
            raise BadInput(f"{where} refuses {key} (status {status}: {shown}).{unset}")
        if status == 404:
            raise BadInput(
                f"{where} does not know the model {self.settings.model} (label.model), or label.url is not the address "
                f"up to and including /v1 (status 404: {shown})."
            )
        if any(sign in message.lower() for sign in TOO_LONG):
            raise BadInput(
                f"A prompt is longer than the model's context ({shown}). Lower label.context, "
                f"{self.settings.context} now, below the server's limit: longer texts are cut in the middle."
            )
        if status in (400, 413, 422):
            raise Rejected(status, shown)
        raise BadInput(f"{where} answers with status {status}: {shown}. Is label.url up to and including /v1?")

    def _pause_for(self, headers: httpx.Headers) -> None:
        seconds = _retry_after(headers)
        if seconds > LONGEST_PAUSE_S:
            raise Unavailable(f"{masked(self.url)} requires a wait of {seconds:,.0f} s. All answers so far are stored.")
        self.pace.pause(seconds)

    def shown(self, message: str) -> str:
        """A server's message on one line, without the key."""
        text = masked(" ".join(message.split()))
        text = text.replace(self._key, "***") if self._key else text
        return text if len(text) <= SHOWN else text[:SHOWN] + "..."


def _problem(status: int, content: Any) -> tuple[int, str] | None:
    """The status and message of an error, also of one that comes with status 200 (OpenRouter); else None."""
    error = content.get("error") if isinstance(content, dict) else None
    if status < 300 and not error:
        return None
    if isinstance(error, dict):
        code = error.get("code")
        if status < 300:
            status = code if isinstance(code, int) and code >= 400 else 500
        words = [error.get("message") or "", *(str(error[name]) for name in ("type", "code") if error.get(name))]
        return status, f"{words[0]} ({', '.join(words[1:])})" if len(words) > 1 else str(words[0])
    return max(status, 300), str(error or (content.get("message") if isinstance(content, dict) else "") or "no message")


def _valid(content: Any) -> bool:
    choices = content.get("choices") if isinstance(content, dict) else None
    return (
        isinstance(choices, list)
        and bool(choices)
        and all(isinstance(one, dict) and isinstance(one.get("message"), dict) for one in choices)
    )


def _retry_after(headers: httpx.Headers) -> float:
    """Seconds that the server asks to wait; 0 if it does not."""
    for name, scale in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        value = headers.get(name, "")
        try:
            return max(0.0, float(value) / scale)
        except ValueError:
            pass
    try:
        return max(0.0, parsedate_to_datetime(headers.get("retry-after", "")).timestamp() - time.time())
    except (ValueError, TypeError):
        return 0.0
