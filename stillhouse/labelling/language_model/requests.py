"""The calls that label one text, and what their answers mean."""

from typing import Any

import numpy as np

from stillhouse.labelling.language_model.abilities import SCHEMA_TOKENS, Abilities
from stillhouse.labelling.language_model.answers import (
    one_class,
    read_logprobs,
    read_single,
    read_votes,
    response_format,
)
from stillhouse.labelling.language_model.prompt import Prompt
from stillhouse.params import Label


def requests_for(prompt: str, codes: tuple[str, ...], abilities: Abilities, settings: Label) -> list[dict[str, Any]]:
    """The requests that label a text with this prompt; the place in the list is the sample's index."""
    body: dict[str, Any] = {"model": settings.model, "messages": [{"role": "user", "content": prompt}]}
    body |= settings.options | {abilities.limit: settings.max_tokens}
    if abilities.temperature and "temperature" not in settings.options:
        body["temperature"] = 1 if abilities.kind == "votes" else 0
    if abilities.kind == "logprobs":
        return [body | {"logprobs": True, "top_logprobs": abilities.top}]
    if abilities.schema:
        body |= {abilities.limit: settings.max_tokens + SCHEMA_TOKENS, "response_format": response_format(codes)}
    if abilities.kind == "single":
        return [body]
    if abilities.n:
        return [body | {"n": settings.samples}]
    return [body | ({"seed": sample} if abilities.seed else {}) for sample in range(settings.samples)]


def read(answers: list[dict[str, Any]], prompt: Prompt, abilities: Abilities) -> np.ndarray | None:
    """The probabilities that the answers to :func:`requests_for` give: float32 (classes,), or None."""
    choices = [choice for answer in answers for choice in answer.get("choices", ())]
    choices = [choice for choice in choices if "refusal" not in choice]
    if not choices:
        return None
    if abilities.kind == "votes":
        return read_votes(choices, prompt.codes, prompt.names)
    if abilities.kind == "logprobs":
        return read_logprobs(choices[0], prompt.codes, prompt.names)
    return one_class(read_single(choices[0], prompt.codes, prompt.names), len(prompt.codes))


def shown(answers: list[dict[str, Any]]) -> str:
    """The first answer's text, short and on one line, for a message."""
    for answer in answers:
        for choice in answer.get("choices", ()):
            text = " ".join(str(choice.get("refusal") or choice["content"]).split())
            return repr(text if len(text) <= 60 else text[:60] + "...")
        return f"refused by the server: {answer['message'][:60]}"
    return "nothing"
