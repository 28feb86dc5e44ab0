"""What a server supports, found by a few small calls. They are stored and paid for like all others."""

import logging
from dataclasses import dataclass
from typing import Any, Literal

from stillhouse.errors import BadInput
from stillhouse.labelling.language_model.answers import read_single, response_format
from stillhouse.labelling.language_model.calls import Calls
from stillhouse.params import Label

Kind = Literal["logprobs", "votes", "single"]
QUESTION = "Count from one to thirty in words."  # its answer is longer than ``label.max_tokens``, and is not JSON
TOP = (20, 5)  # numbers of tokens with log-probabilities that servers report at most
SCHEMA_TOKENS = 32  # of an object around a code, with blanks
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Abilities:
    """How texts are labelled on this server.

    Attributes:
        kind: which answers are used.
        limit: the name of the option for the length of an answer.
        temperature: whether a temperature may be set.
        top: tokens with log-probabilities.
        schema: whether answers can be constrained to a schema.
        n: whether one call can have several samples.
        seed: whether a seed may be set.
    """

    kind: Kind
    limit: str
    temperature: bool
    top: int = 0
    schema: bool = False
    n: bool = False
    seed: bool = False


def probe(calls: Calls, settings: Label) -> Abilities:
    """Find out what the server supports, and choose the kind of answers.

    ``auto`` is: log-probabilities; else votes where one call can have several samples, since a call for each sample
    costs several times as much; else a single answer.

    Raises:
        BadInput: the server accepts no request, or does not support what ``label.answers`` names.
        Exception: what :meth:`Client.send` raises.
    """
    base, limit, temperature = _base(calls, settings)
    if settings.answers in ("auto", "logprobs"):
        for top in TOP:
            body = base | {"logprobs": True, "top_logprobs": top}
            if _has_logprobs(_ask(calls, body, again=settings.answers == "logprobs")):
                return _found(Abilities("logprobs", limit, temperature, top=top))
        if settings.answers == "logprobs":
            raise BadInput(
                f"The server at label.url gives no log-probabilities for {settings.model}. Set label.answers to auto, "
                "votes or single."
            )
    sampled = base | ({"temperature": 1} if temperature else {})
    codes = ["A", "B"]
    body = base | {limit: settings.max_tokens + SCHEMA_TOKENS, "response_format": response_format(codes)}
    found = _ask(calls, body)
    schema = found is not None and all(
        choice["content"].lstrip().startswith("{") and read_single(choice, codes, codes) is not None
        for choice in found["choices"]
    )
    n = seed = False
    if settings.answers != "single":
        found = _ask(calls, sampled | {"n": settings.samples})
        n = found is not None and len(found["choices"]) == settings.samples
    kind: Kind = "votes" if settings.answers == "votes" or n else "single"
    if kind == "votes":
        seed = _ask(calls, sampled | {"seed": 1}) is not None
    return _found(Abilities(kind, limit, temperature, schema=schema, n=n, seed=seed))


def _found(abilities: Abilities) -> Abilities:
    what = {
        "logprobs": f"log-probabilities of the codes ({abilities.top} tokens)",
        "votes": "votes of samples, " + ("one call a text" if abilities.n else "a call for each sample"),
        "single": "a single answer",
    }[abilities.kind]
    schema = ", constrained to the codes by a schema" if abilities.schema else ""
    logger.info("answers of the language model: %s%s", what, schema)
    return abilities


def _base(calls: Calls, settings: Label) -> tuple[dict[str, Any], str, bool]:
    """The first form of a request that the server accepts: its options, the name of the limit, and a temperature."""
    body = {"model": settings.model, "messages": [{"role": "user", "content": QUESTION}], **settings.options}
    message = ""
    for limit in ("max_tokens", "max_completion_tokens"):
        for temperature in (True, False):
            tried = body | {limit: settings.max_tokens} | ({"temperature": 0} if temperature else {})
            found = calls.get(tried, probe=True)
            if "rejected" not in found:
                _check_limit(found, settings)
                return tried, limit, temperature
            message = message or found["message"]
    raise BadInput(
        f"The server at label.url accepts no request for the model {settings.model}: {message}. Check label.model, "
        "label.options and label.max_tokens."
    )


def _check_limit(found: dict[str, Any], settings: Label) -> None:
    counted = found["usage"]["completion_tokens"] if found["usage"] else 0
    if settings.max_cost is not None and counted > settings.max_tokens:
        raise BadInput(
            f"The server at label.url ignores the limit of {settings.max_tokens} tokens for an answer (it used "
            f"{counted}), so that label.max_cost cannot hold. Raise label.max_tokens, or set label.max_cost: null."
        )


def _ask(calls: Calls, body: dict[str, Any], again: bool = False) -> dict[str, Any] | None:
    """The answer, or None if the server rejects the request. With ``again`` a stored refusal is not trusted."""
    stored = calls.find(body) is not None
    found = calls.get(body, probe=True)
    if stored and again and not _has_logprobs(found):
        sample = 1
        while calls.find(body, sample) is not None:
            sample += 1
        found = calls.get(body, sample, probe=True)
    return None if "rejected" in found else found


def _has_logprobs(found: dict[str, Any] | None) -> bool:
    return found is not None and any(len(token["top"]) > 1 for token in found.get("choices", [{}])[0].get("tokens", ()))
