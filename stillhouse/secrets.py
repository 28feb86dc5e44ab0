"""Passwords and tokens, kept out of whatever is written or shown."""

import os
import re

_IN_ADDRESS = re.compile(r"(://[^/\s:@]*):[^/\s@]+@")
_NAMES_SECRET = re.compile(r"(SECRET|TOKEN|PASSWORD|PASSWD|CREDENTIALS?|_KEY)$|SECRET")
LEAST = 6  # characters: shorter values would be found in any text


def masked(text: str) -> str:
    """``text`` with ``***`` for each password of an address, and for each secret of the environment.

    A variable holds a secret where its name says so (``HF_TOKEN``, ``AWS_SECRET_ACCESS_KEY``).
    """
    text = _IN_ADDRESS.sub(r"\1:***@", text)
    for name, value in os.environ.items():
        if len(value) >= LEAST and value in text and _NAMES_SECRET.search(name):
            text = text.replace(value, "***")
    return text
