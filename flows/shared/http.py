"""Send one request to a server that may be absent, slow, or not a web server."""

from typing import Any

import httpx


class RequestFailed(Exception):
    """The server did not answer as a web server does. The message contains no address."""


def send_request(url: str, timeout_s: float, body: Any = None) -> None:
    """GET ``url``, or POST ``body`` to it as JSON. The body of the response is not read.

    A redirect is not followed: a POST would become a GET without its body.

    Raises:
        RequestFailed: no connection, no HTTP, an invalid address, a timeout, or a status of 300 or above.
    """
    method = "GET" if body is None else "POST"
    try:
        with httpx.stream(method, url, json=body, timeout=timeout_s, follow_redirects=False) as response:
            status, reason = response.status_code, response.reason_phrase
            target = httpx.URL(response.headers.get("location", "")).host
    except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError, ImportError) as error:
        # ImportError: the environment names a SOCKS proxy, which needs another package.
        raise RequestFailed(f"{type(error).__name__}: {error}" if str(error) else type(error).__name__) from None
    if status >= 400:
        raise RequestFailed(f"status {status} {reason}".rstrip())
    if status >= 300:
        raise RequestFailed(f"it redirects (status {status}) to {target or 'another address'}; use that address")
