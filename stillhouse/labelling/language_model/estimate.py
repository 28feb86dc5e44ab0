"""The dry run: what labelling some texts will cost and how long it will take. No call is sent."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from stillhouse.labelling.language_model.abilities import Abilities, Kind, probe
from stillhouse.labelling.language_model.cache import Totals
from stillhouse.labelling.language_model.calls import Calls, size
from stillhouse.labelling.language_model.prompt import load_prompt
from stillhouse.labelling.language_model.requests import requests_for
from stillhouse.labelling.language_model.similar import most_similar
from stillhouse.labelling.language_model.tokens import likely_tokens
from stillhouse.params import Label


class _NoCalls(Calls):
    """Calls of which only stored answers are found."""

    def begin(self) -> bool:
        raise LookupError("not stored")


@dataclass(frozen=True)
class Estimate:
    """What labelling costs. Counts are of distinct texts.

    Attributes:
        texts: texts to label.
        cached: of these, texts whose answers are stored.
        cut: texts that will be cut in the middle.
        calls: calls for the texts that are not stored.
        kind: the kind of answers; None if the server was not called yet. ``auto`` then counts as log-probabilities.
        prompt_tokens: of the calls, estimated.
        completion_tokens: of the calls, at most.
        dollars: of the calls; None without prices.
        dollars_in_all: of all calls in the folder so far.
        cap: ``label.max_cost``.
        seconds: of the calls; None if no answer of this model is stored and no limit a minute is set.
    """

    texts: int
    cached: int
    cut: int
    calls: int
    kind: Kind | None
    prompt_tokens: int
    completion_tokens: int
    dollars: float | None
    dollars_in_all: float
    cap: float | None
    seconds: float | None

    def __str__(self) -> str:
        price = "no price is set" if self.dollars is None else f"about ${self.dollars:.4f}"
        duration = "time unknown until the first answers" if self.seconds is None else f"about {self.seconds:,.0f} s"
        cap = ""
        if self.cap is not None and self.dollars and self.dollars_in_all + self.dollars > self.cap:
            share = max(self.cap - self.dollars_in_all, 0.0) / self.dollars
            cap = (
                f"; label.max_cost (${self.cap:g}) is enough for about {share * (self.texts - self.cached):,.0f} texts"
            )
        return (
            f"{self.texts:,} texts, of which {self.cached:,} are stored and {self.cut:,} will be cut; {self.calls:,} "
            f"calls with about {self.prompt_tokens:,} tokens, answers of {self.completion_tokens:,} tokens at most; "
            f"{price} (${self.dollars_in_all:.4f} so far){cap}; {duration}"
        )


def estimate(
    texts: Sequence[str],
    classes: Mapping[str, str | None],
    examples: Sequence[tuple[str, str]],
    settings: Label,
    folder: Path,
) -> Estimate:
    """Estimate what :func:`label_texts` with the same arguments costs. Tokens are counted as in stored answers.

    Raises:
        BadInput: a template, URL or cache that cannot be used.
    """
    prompt = load_prompt(classes, settings.prompt, settings.context, settings.max_tokens)
    distinct = list(dict.fromkeys(texts))
    cached = cut = calls = characters = completion = 0
    prompt_tokens = 0.0
    with _NoCalls(settings, folder) as stored:
        try:
            found: Abilities | None = probe(stored, settings)
        except LookupError:
            found = None
        abilities = found or Abilities(
            "logprobs" if settings.answers == "auto" else settings.answers, "max_tokens", True, n=True
        )
        known = stored.cache.totals.get(settings.model or "", Totals())
        for text, nearest in zip(distinct, most_similar(distinct, examples, settings.examples), strict=True):
            made, shortened = prompt.render(text, nearest)
            cut += shortened
            requests = requests_for(made, prompt.codes, abilities, settings)
            missing = [body for sample, body in enumerate(requests) if stored.find(body, sample) is None]
            cached += not missing
            calls += len(missing)
            for body in missing:
                characters += size(body)
                prompt_tokens += likely_tokens(made)
                completion += body[abilities.limit] * body.get("n", 1)
        if known.bytes:
            prompt_tokens = characters * known.bytes_tokens / known.bytes
        priced = settings.price.input is not None and settings.price.output is not None
        return Estimate(
            texts=len(distinct),
            cached=cached,
            cut=cut,
            calls=calls,
            kind=found.kind if found else None,
            prompt_tokens=round(prompt_tokens),
            completion_tokens=completion,
            dollars=stored.budget.cost(prompt_tokens, completion) if priced else None,
            dollars_in_all=stored.cache.dollars,
            cap=settings.max_cost,
            seconds=_seconds(calls, prompt_tokens + completion, known, settings),
        )


def _seconds(calls: int, tokens: float, known: Totals, settings: Label) -> float | None:
    limits = [median(known.seconds) * calls / settings.concurrency] if known.seconds else []
    limits += [calls * 60 / settings.requests_per_minute] if settings.requests_per_minute else []
    limits += [tokens * 60 / settings.tokens_per_minute] if settings.tokens_per_minute else []
    return max(limits, default=None)
