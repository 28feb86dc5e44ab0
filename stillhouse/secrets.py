"""Masking of passwords and tokens in everything that is written or shown."""

import os
import re
import shlex
from io import StringIO
from urllib.parse import urlsplit

from stillhouse.params.files import round_trip

_PASSWORD = re.compile(r"(://[^/\s:@]*):[^/\s@]+@")
_QUERY = re.compile(
    r"([?&;][\w.%-]*(?:token|secret|passw(?:or)?d|pwd|key|sig|signature|auth|credential|code)=)[^&#\s'\"]+",
    re.IGNORECASE,
)
# Services whose URLs have a secret in the path: Slack, Discord, Teams, Power Automate, Telegram and similar ones.
_HOOK = re.compile(
    r"(https?://(?:[^/\s'\"]*@)?(?:hooks?\.[^/\s'\"]+|hc-ping\.com|[^/\s'\"]*\.webhook\.office\.com|"
    r"[^/\s'\"]*\.logic\.azure\.com(?::\d+)?|api\.telegram\.org|[^\s'\"]*/(?:web)?hooks?))/[^\s'\"]+",
    re.IGNORECASE,
)
_NAMES_SECRET = re.compile(r"(SECRET|TOKEN|PASSWORD|PASSWD|CREDENTIALS?|_KEY)$|SECRET")
MESSENGERS = ("notify", "heartbeat")  # keys of the section flow that hold an address or a command
LEAST = 6  # minimum length of a masked value in characters: shorter values occur in any text


def masked(text: str) -> str:
    """``text`` with ``***`` for passwords and tokens in addresses, and for each secret of the environment.

    A variable counts as secret by its name (``HF_TOKEN``, ``AWS_SECRET_ACCESS_KEY``).
    """
    text = _in_addresses(text)
    for name, value in os.environ.items():
        if len(value) >= LEAST and value in text and _NAMES_SECRET.search(name):
            text = text.replace(value, "***")
    return text


def _in_addresses(text: str) -> str:
    for pattern, shown in ((_PASSWORD, r"\1:***@"), (_HOOK, r"\1/***"), (_QUERY, r"\1***")):
        text = pattern.sub(shown, text)
    return text


def masked_target(target: str) -> str:
    """The public part of ``flow.notify`` or ``flow.heartbeat``: the host of an address, or the name of a program.

    A reference to an environment variable (``$NOTIFY``) is no secret and stays as it is.
    """
    if re.fullmatch(r"\$(\w+|\{\w+\})", target):
        return target
    try:
        if "://" in target.split(maxsplit=1)[0]:
            parts = urlsplit(target)
            return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}/***"
        program, *rest = shlex.split(target)
    except (ValueError, IndexError):  # an invalid address, an open quotation mark, or an empty text
        return "***"
    return program + (" ***" if rest else "")


def shareable(params: str) -> str:
    """The text of ``params.yaml`` without secrets, for a tracking server. Comments and order stay.

    Only values that change no result are masked: ``flow.notify``, ``flow.heartbeat``, and passwords or tokens in
    addresses. So the text still reproduces the model. Values of secret environment variables are not masked, because
    such a value could be an ordinary word such as ``sample``.
    """
    yaml = round_trip()
    content = yaml.load(params)
    flow = content.get("flow") or {}
    for key in MESSENGERS:
        if isinstance(flow.get(key), str):
            flow[key] = masked_target(flow[key])
    text = StringIO()
    yaml.dump(content, text)
    return _in_addresses(text.getvalue())
