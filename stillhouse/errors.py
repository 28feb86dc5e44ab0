"""Errors that a user can correct. They are shown as one message, without a traceback."""

import errno
from collections.abc import Sequence

NOT_ALLOWED = (errno.EACCES, errno.EPERM, errno.EROFS)


class StillhouseError(Exception):
    """An error that a user can correct. The message names what is wrong, where, and how to correct it."""


class BadInput(StillhouseError):
    """A parameter, file, row or label that cannot be used. A retry does not help."""


class Unavailable(StillhouseError):
    """A server or hub that does not answer now. A retry may help."""


class TrainingDiverged(StillhouseError):
    """A NaN, an infinity or an exploding gradient in training. The last good checkpoint stays on disk."""


def listed(names: Sequence[str], most: int = 20) -> str:
    """The first ``most`` names, separated by commas, and the number of all names if there are more."""
    shown = ", ".join(names[:most])
    return shown if len(names) <= most else f"{shown}, ... ({len(names):,} in all)"


def permission_problem(error: Exception) -> str | None:
    """A message with the file that may not be read or written; None if ``error`` is of another kind."""
    if not isinstance(error, OSError) or error.errno not in NOT_ALLOWED:
        return None
    return f"{error.filename} is not readable or not writable ({error.strerror})."
