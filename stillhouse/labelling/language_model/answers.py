"""From a server's answer to probabilities of the classes, or None for an answer that cannot be used.

An answer that names no class, or is cut off, is never guessed at.
"""

import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

LEAST_MASS = 0.05  # least probability of all codes together; below it the model did not mean to answer with a code
AROUND = " \t\r\n\"'`*_()[]<>.,:;!▁Ġ"  # blanks, quotes and markup around a code; tokenizers' signs for a blank
THOUGHT = "</think>"
SCHEMA_FIELD = "label"
_CODE_AND_NAME = re.compile(r"([A-Za-z]+)[\s:.)\-]+(.+)")


def response_format(codes: Sequence[str]) -> dict[str, Any]:
    """The option ``response_format`` for an object whose one field is one of the codes."""
    field = {"type": "string", "enum": list(codes)}
    schema = {
        "type": "object",
        "properties": {SCHEMA_FIELD: field},
        "required": [SCHEMA_FIELD],
        "additionalProperties": False,
    }
    return {"type": "json_schema", "json_schema": {"name": "answer", "strict": True, "schema": schema}}


def read_single(choice: Mapping[str, Any], codes: Sequence[str], names: Sequence[str]) -> int | None:
    """The class that an answer names: by its code, its exact name, both, or an object with the field ``label``.

    Args:
        choice: ``content``, the text of the answer.
        codes: the codes of the classes.
        names: their names.

    Returns:
        The index of the class, or None.
    """
    text = str(choice.get("content") or "").rpartition(THOUGHT)[2].strip()
    if text.startswith("{"):
        try:
            content = json.loads(text)
        except ValueError:
            return None
        value = content.get(SCHEMA_FIELD) if isinstance(content, dict) else None
        if not isinstance(value, str):
            return None
        text = value
    return _class_of(text.partition("\n")[0], codes, names)


def _class_of(line: str, codes: Sequence[str], names: Sequence[str]) -> int | None:
    bare = line.strip(AROUND)
    for wanted, known in ((bare.upper(), codes), (line.strip(), names), (bare, names)):
        if wanted in known:
            return list(known).index(wanted)
    folded = [name.casefold() for name in names]
    if folded.count(bare.casefold()) == 1:
        return folded.index(bare.casefold())
    found = _CODE_AND_NAME.fullmatch(bare)
    if found and found[1].upper() in codes:
        place = list(codes).index(found[1].upper())
        return place if found[2].casefold() == folded[place] else None
    return None


def read_votes(choices: Sequence[Mapping[str, Any]], codes: Sequence[str], names: Sequence[str]) -> np.ndarray | None:
    """The shares of the classes among the usable answers: float32 (classes,), or None if none is usable."""
    votes = [vote for choice in choices if (vote := read_single(choice, codes, names)) is not None]
    if not votes:
        return None
    shares: np.ndarray = (np.bincount(votes, minlength=len(codes)) / len(votes)).astype(np.float32)
    return shares


def read_logprobs(choice: Mapping[str, Any], codes: Sequence[str], names: Sequence[str]) -> np.ndarray | None:
    """The probabilities of the codes at the first visible token, renormalised over the codes.

    Tokens with blanks or quotes around the code, or in lower case, count to their code. A code that is not among the
    reported tokens has at most the probability of the least likely of them; it gets that, or its part of what the
    reported tokens leave of 1 if that is less. Where the tokens are parts of codes, the next token's probabilities
    divide the part that the model chose, and each other part is divided equally.

    Args:
        choice: ``tokens``, a list of the answer's tokens: each a mapping with ``token`` and ``top``, pairs of a token
            and its log-probability; ``content``, the text.
        codes: the codes of the classes.
        names: their names.

    Returns:
        float32 (classes,) that add up to 1. If the codes have less than ``LEAST_MASS`` together, the class that the
        answer's text names, with probability 1, or else None.
    """
    tokens = list(choice.get("tokens") or ())
    tokens = tokens[_first_visible(tokens) :]
    mass = _shares(tokens, list(codes))
    if mass.sum() >= LEAST_MASS:
        if missing := np.count_nonzero(mass == 0):
            reported = [math.exp(min(0.0, float(logarithm))) for _, logarithm in tokens[0]["top"]]
            mass[mass == 0] = min(min(reported), max(0.0, 1 - sum(reported)) / missing)
        shares: np.ndarray = (mass / mass.sum()).astype(np.float32)
        return shares
    return one_class(read_single(choice, codes, names), len(codes))


def one_class(index: int | None, classes: int) -> np.ndarray | None:
    """Probability 1 for one class: float32 (classes,); None for None."""
    if index is None:
        return None
    made = np.zeros(classes, np.float32)
    made[index] = 1
    return made


def _first_visible(tokens: Sequence[Mapping[str, Any]]) -> int:
    """The place of the first token, after a thought, that is more than blanks, quotes or markup."""
    start, text = 0, ""
    for place, one in enumerate(tokens):
        text += str(one["token"])
        if THOUGHT in text:
            start, text = place + 1, ""
    for place in range(start, len(tokens)):
        if str(tokens[place]["token"]).strip(AROUND):
            return place
    return len(tokens)


def _shares(tokens: Sequence[Mapping[str, Any]], ends: Sequence[str]) -> np.ndarray:
    """The probability of each end of a code at the first of ``tokens``: float64 (ends,)."""
    mass = np.zeros(len(ends))
    if not tokens:
        return mass
    chosen = str(tokens[0]["token"]).strip(AROUND).upper()
    for token, logarithm in tokens[0]["top"]:
        part = str(token).strip(AROUND).upper()
        if not part:
            continue
        probability = math.exp(min(0.0, float(logarithm)))
        if part in ends:
            mass[list(ends).index(part)] += probability
            continue
        members = [i for i, end in enumerate(ends) if end.startswith(part)]
        if members:
            within = np.ones(len(members))
            if part == chosen:
                following = _shares(tokens[1:], [ends[i][len(part) :] for i in members])
                within = following if following.sum() > 0 else within
            mass[members] += probability * within / within.sum()
    return mass
