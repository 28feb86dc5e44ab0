"""Passwords that stand in addresses, kept out of whatever is written or shown."""

import re

_PASSWORD = re.compile(r"(://[^/\s:@]*):[^/\s@]+@")


def masked(text: str) -> str:
    """``text`` with ``***`` for each password of an address such as ``http://user:password@host``."""
    return _PASSWORD.sub(r"\1:***@", text)
