"""Labels of a language model for texts: the calls run concurrently, and each answer is stored once it is there."""

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from stillhouse.errors import BadInput, Unavailable
from stillhouse.labelling.language_model.abilities import Abilities, Kind, probe
from stillhouse.labelling.language_model.budget import AtCap, Stopped
from stillhouse.labelling.language_model.calls import Calls
from stillhouse.labelling.language_model.client import Failed
from stillhouse.labelling.language_model.outcome import Answers
from stillhouse.labelling.language_model.prompt import Prompt, load_prompt
from stillhouse.labelling.language_model.requests import read, requests_for, shown
from stillhouse.labelling.language_model.similar import most_similar
from stillhouse.params import Label

LEAST_ANSWERS = 20  # before the share of unusable answers is judged
FAILURES = 3  # texts in a row without an answer after all retries, which end the run
LOG_EVERY_S = 15.0
logger = logging.getLogger(__name__)


def label_texts(
    texts: Sequence[str],
    classes: Mapping[str, str | None],
    examples: Sequence[tuple[str, str]],
    settings: Label,
    folder: Path,
) -> Answers:
    """Label texts with a language model. Answers in ``folder`` are used; new ones are paid for and stored there.

    Equal texts are paid for once. The same folder gives the same probabilities again without a call. A second process
    on the same folder waits for the first one.

    Args:
        texts: the texts.
        classes: names of the classes and their descriptions; the names are in the order of the probabilities.
        examples: texts and names of their classes, of which each prompt has the ``label.examples`` most similar ones.
            The text itself is never its own example.
        settings: the section ``label``.
        folder: the folder of the cache.

    Raises:
        BadInput: a wrong key, model, address, template or option; no credit; a damaged line in the cache; or more than
            ``label.max_unusable`` of the answers are unusable. All answers until then are stored.
        Unavailable: the server does not answer. All answers until then are stored.
    """
    prompt = load_prompt(classes, settings.prompt, settings.context, settings.max_tokens)
    with Calls(settings, folder) as calls:
        run = _Run(list(dict.fromkeys(texts)), prompt, settings, calls)
        if not texts:
            return run.answers(texts, None)
        try:
            abilities = probe(calls, settings)
        except AtCap:
            run.at_cap, run.left = True, len(run.texts)
            return run.answers(texts, None)
        run.label(abilities, examples)
        return run.answers(texts, abilities.kind)


def check_server(classes: Mapping[str, str | None], settings: Label, folder: Path) -> None:
    """Find out what the server supports, before anything else takes time. The arguments are those of `label_texts`.

    Raises:
        BadInput, Unavailable: as :func:`label_texts`.
    """
    load_prompt(classes, settings.prompt, settings.context, settings.max_tokens)
    with Calls(settings, folder) as calls, suppress(AtCap):
        probe(calls, settings)


class _Run:
    def __init__(self, texts: list[str], prompt: Prompt, settings: Label, calls: Calls) -> None:
        self.texts, self.prompt, self.settings, self.calls = texts, prompt, settings, calls
        self.rows = np.full((len(texts), len(prompt.names)), np.nan, np.float32)
        self.cached = self.paid = self.failed = self.left = self.cut = self.failures = 0
        self.at_cap, self.price = False, 0.0
        self.unusable: list[str] = []
        self.start = self.logged = time.monotonic()

    def label(self, abilities: Abilities, examples: Sequence[tuple[str, str]]) -> None:
        """Label all texts. When this ends, no call is in flight, also after an error."""
        pending: dict[Future[list[dict[str, Any]]], int] = {}
        with ThreadPoolExecutor(self.settings.concurrency, "language-model") as pool:
            try:
                for row, requests in self._requests(abilities, examples):
                    stored = self._stored(requests)
                    if stored is None and not self.at_cap and self.calls.begin():
                        stored = self._stored(requests)
                    if stored is not None:
                        self.cached += 1
                        self._take(row, stored, abilities)
                    elif self.at_cap:
                        self.left += 1
                    else:
                        pending[pool.submit(self._send, requests)] = row
                    if len(pending) >= 2 * self.settings.concurrency:
                        self._collect(pending, abilities)
                while pending:
                    self._collect(pending, abilities)
            except BaseException:
                self.calls.stop.set()  # ends waits; the pool waits for the calls in flight, which store their answers
                for future in pending:
                    future.cancel()
                raise
        self._log(final=True)

    def _requests(
        self, abilities: Abilities, examples: Sequence[tuple[str, str]]
    ) -> Iterator[tuple[int, list[dict[str, Any]]]]:
        similar = most_similar(self.texts, examples, self.settings.examples)
        for row, (text, nearest) in enumerate(zip(self.texts, similar, strict=True)):
            prompt, cut = self.prompt.render(text, nearest)
            self.cut += cut
            yield row, requests_for(prompt, self.prompt.codes, abilities, self.settings)

    def _stored(self, requests: list[dict[str, Any]]) -> list[dict[str, Any]] | None:
        """The stored answers; None if one is missing."""
        found = [self.calls.find(body, sample) for sample, body in enumerate(requests)]
        answers = [answer for answer in found if answer is not None]
        return answers if len(answers) == len(requests) else None

    def _send(self, requests: list[dict[str, Any]]) -> list[dict[str, Any]]:
        try:
            return [self.calls.get(body, sample) for sample, body in enumerate(requests)]
        except (AtCap, Stopped, Failed):
            raise
        except BaseException:  # no other thread may send a further call
            self.calls.stop.set()
            raise

    def _collect(self, pending: dict[Future[list[dict[str, Any]]], int], abilities: Abilities) -> None:
        """Wait for one call or more, and take their answers."""
        done, _ = wait(pending, return_when=FIRST_COMPLETED)
        for future in done:
            row = pending.pop(future)
            try:
                answers = future.result()
            except AtCap:
                self.at_cap = True
                self.left += 1
            except Stopped:
                self.left += 1
            except Failed as error:
                logger.warning("a text has no answer: %s", error)
                self.failed += 1
                self.failures += 1
                if self.failures >= FAILURES:
                    raise Unavailable(f"{error} All answers so far are stored; a further run continues.") from None
            else:
                self.paid += 1
                self.failures = 0
                self._take(row, answers, abilities)
        self._log()

    def _take(self, row: int, answers: list[dict[str, Any]], abilities: Abilities) -> None:
        self.price += sum(answer.get("dollars", 0.0) for answer in answers)
        probabilities = read(answers, self.prompt, abilities)
        if probabilities is not None:
            self.rows[row] = probabilities
            return
        self.unusable.append(shown(answers))
        answered, most = self.cached + self.paid, self.settings.max_unusable
        if answered >= LEAST_ANSWERS and len(self.unusable) > most * answered:
            raise BadInput(
                f"{len(self.unusable):,} of {answered:,} answers of {self.settings.model} are unusable, more than "
                f"label.max_unusable ({most:g}). Examples: {'; '.join(self.unusable[:3])}. A model that reasons before "
                "it answers needs a higher label.max_tokens; else change label.prompt or label.model. All answers are "
                "stored."
            )

    def _log(self, final: bool = False) -> None:
        now = time.monotonic()
        if not final and now - self.logged < LOG_EVERY_S:
            return
        self.logged = now
        speed = self.paid / max(1e-9, now - self.start)
        rest = len(self.texts) - self.cached - self.paid - self.failed - self.left
        time_left = f", about {rest / speed:,.0f} s left" if speed and not final else ""
        logger.info(
            "language model: %s of %s texts (%s stored), %s unusable, %s failed, $%.4f in this run, $%.4f in all%s",
            *(f"{n:,}" for n in (self.cached + self.paid, len(self.texts), self.cached)),
            *(f"{n:,}" for n in (len(self.unusable), self.failed)),
            self.calls.dollars,
            self.calls.cache.dollars,
            time_left,
        )
        if final and self.failed:
            retry = "`dvc repro --force --single-item label` tries them again"
            logger.warning("%s texts have no answer; %s", f"{self.failed:,}", retry)
        unknown = self.calls.cache.unknown_dollars
        if final and self.at_cap:
            logger.warning(
                "label.max_cost ($%g) is reached: %s texts are left. Raise it to continue.%s",
                self.settings.max_cost,
                f"{self.left:,}",
                f" ${unknown:.4f} of it are calls of stopped runs whose answer is unknown." if unknown else "",
            )

    def answers(self, texts: Sequence[str], kind: Kind | None) -> Answers:
        """The result for all ``texts``, of which some are equal."""
        place = {text: row for row, text in enumerate(self.texts)}
        return Answers(
            probabilities=self.rows[np.array([place[text] for text in texts], np.int64)],
            kind=kind,
            cached=self.cached,
            paid=self.paid,
            unusable=len(self.unusable),
            failed=self.failed,
            left=self.left,
            cut=self.cut,
            calls=self.calls.sent,
            prompt_tokens=self.calls.prompt_tokens,
            completion_tokens=self.calls.completion_tokens,
            price=self.price,
            dollars=self.calls.dollars,
            dollars_in_all=self.calls.cache.dollars,
            at_cap=self.at_cap,
        )
