"""One request to a server that may be absent, slow, or no web server at all."""

from typing import Any

import httpx


class NoAnswer(Exception):
    """The server did not answer, or not as a web server does; the message names no address."""


def ask(url: str, timeout_s: float, body: Any = None) -> None:
    """GET ``url``, or POST ``body`` to it as JSON. The answer's text is not read.

    A redirect is not followed: a POST would arrive as a GET, without its body.

    Raises:
        NoAnswer: no connection, no HTTP, no valid address, nothing within ``timeout_s``, or a status of 300 and above.
    """
    method = "GET" if body is None else "POST"
    try:
        with httpx.stream(method, url, json=body, timeout=timeout_s, follow_redirects=False) as answer:
            status, reason = answer.status_code, answer.reason_phrase
            place = httpx.URL(answer.headers.get("location", "")).host
    except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError, ImportError) as error:
        # ImportError: the environment names a SOCKS proxy, which takes a further package.
        raise NoAnswer(f"{type(error).__name__}: {error}" if str(error) else type(error).__name__) from None
    if status >= 400:
        raise NoAnswer(f"status {status} {reason}".rstrip())
    if status >= 300:
        raise NoAnswer(f"it redirects (status {status}) to {place or 'another address'}; use that address")
