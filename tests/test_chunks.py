"""Word pieces by look-up: the same ids as the tokenizer's, for any text, within bounds, from several threads."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from material import texts_and_labels
from tokenizers import Tokenizer

from stillhouse.data.vocabulary import learn_vocabulary
from stillhouse.params import Vocabulary
from stillhouse.serving import chunks
from stillhouse.serving.chunks import ID, LONGEST, Chunks, commonest

LENGTH = 12
TEXTS = [text for text, _ in texts_and_labels(300)] + ["Ein Zug, der fährt; naïve — 12.5 % of 日本語 and emoji 🙂!"] * 3
LEARNT = learn_vocabulary(TEXTS, Vocabulary(pieces=400, min_frequency=1, lowercase=True)).to_str()
# Spaces of all kinds, what str.split() takes for one and Unicode does not, special tokens, what changes with case.
PARTS = [*" \t\n\r\x0b\x0c\x1c\x1d\x1e\x1f\x85\xa0\u1680\u2003\u2028\u2029\u202f\u205f\u3000\u200b\ufeff\u180e"]
PARTS += [
    "[MASK]",
    "[PAD]",
    "[UNK]",
    "GOAL",
    "İ",
    "Σ",
    "ß",
    "e\u0301",
    "日本",
    "🙂\u200d🙂",
    "\x00",
    "\ud83d",
    "a.b",
    "__",
]
text = st.one_of(
    st.text(st.characters(codec=None), max_size=60),
    st.lists(st.one_of(st.sampled_from(PARTS), st.sampled_from(TEXTS)), max_size=30).map("".join),
)


def fresh(**options) -> Chunks:
    return Chunks(Tokenizer.from_str(LEARNT), LENGTH, **options)


def whole(text: str) -> list[int]:
    tokenizer = Tokenizer.from_str(LEARNT)
    tokenizer.enable_truncation(LENGTH)
    return tokenizer.encode(text.encode("utf-8", "replace").decode(), add_special_tokens=False).ids


def numbers(rows: list[bytes]) -> list[list[int]]:
    return [np.frombuffer(row, ID).tolist() for row in rows]


SHARED = fresh()


@settings(max_examples=300, deadline=None)
@given(st.lists(text, min_size=1, max_size=4))
@example(["goal" * 5000, "x" * 100 + " rain " * 200, " " * 500 + "snow", "é" * 73 + " sun" * 4])
@example(["goal\x1cmatch \x1f team", "\x85goal\xa0match"])
@example([LENGTH * chunks.CHARACTERS * "." + " rain", "rain " * 100_000])
def test_the_ids_are_those_of_the_tokenizer_for_any_text(texts):
    assert numbers(SHARED.ids(texts)) == [whole(one) for one in texts]


def test_what_it_was_given_at_the_start_changes_nothing_but_the_time():
    common = commonest(TEXTS, 20)
    assert len(common) == 20 and "the" in common
    known = dict(zip(common, map(whole, common), strict=True))
    assert numbers(fresh(common=known).ids(TEXTS[:5])) == numbers(fresh().ids(TEXTS[:5]))


def test_what_is_remembered_is_bounded_and_what_is_common_stays(monkeypatch):
    monkeypatch.setattr(chunks, "LIMIT", 50)
    known = fresh(common={"goal": whole("goal")})
    for start in range(0, 5000, 100):
        texts = [f"goal n{number} {'x' * (LONGEST + 1)}{number}" for number in range(start, start + 100)]
        assert numbers(known.ids(texts)) == [whole(one) for one in texts]
        assert len(known._known) <= 50 and "goal" in known._known
    assert max(map(len, known._known)) <= LONGEST


@pytest.mark.parametrize("limit", [40, 100_000])
def test_several_threads_get_what_one_gets(monkeypatch, limit):
    monkeypatch.setattr(chunks, "LIMIT", limit)
    expected, known = [whole(one) for one in TEXTS], fresh()
    with ThreadPoolExecutor(4) as threads:
        for rows in threads.map(lambda start: known.ids(TEXTS[start:] + TEXTS[:start]), range(0, 300, 10)):
            assert sorted(numbers(rows)) == sorted(expected)
