"""Errors that are the user's to mend: shown as one message, never as a traceback."""


class StillhouseError(Exception):
    """Something the user can put right; the message says what, where and how."""


class BadInput(StillhouseError):
    """A parameter, file, row or label that cannot be used. Trying again does not help."""


class Unavailable(StillhouseError):
    """A server or hub that does not answer now. Trying again may help."""


class TrainingDiverged(StillhouseError):
    """A NaN, an infinity or an exploding gradient; the last good checkpoint is kept."""
