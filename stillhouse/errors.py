"""Errors that are the user's to mend: shown as one message, never as a traceback."""

import errno
from collections.abc import Sequence

NOT_ALLOWED = (errno.EACCES, errno.EPERM, errno.EROFS)


class StillhouseError(Exception):
    """Something the user can put right; the message says what, where and how."""


class BadInput(StillhouseError):
    """A parameter, file, row or label that cannot be used. Trying again does not help."""


class Unavailable(StillhouseError):
    """A server or hub that does not answer now. Trying again may help."""


class TrainingDiverged(StillhouseError):
    """A NaN, an infinity or an exploding gradient; the last good checkpoint is kept."""


def listed(names: Sequence[str], most: int = 20) -> str:
    """The names for a message that stays readable: the first of them, and how many there are."""
    shown = ", ".join(names[:most])
    return shown if len(names) <= most else f"{shown}, ... ({len(names):,} in all)"


def permission_problem(error: Exception) -> str | None:
    """Which file may not be read or written, and why, where that is what ``error`` says."""
    if not isinstance(error, OSError) or error.errno not in NOT_ALLOWED:
        return None
    return f"{error.filename} is not readable or not writable ({error.strerror})."
