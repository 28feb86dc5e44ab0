"""Estimates from a teacher's tokens whether the teacher knows the language of the texts."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from stillhouse.data.terms import LETTERS, RUNS

SAMPLE = 500  # texts that suffice
# A tokenizer splits words of languages that it was not trained on. The tokenizer of an English BERT makes 1.1 tokens
# of an English word, and 1.8 to 3 of a word in another European language. Multilingual tokenizers make up to 1.8 tokens
# of a word in a language that they were trained on (P. Rust et al., "How Good is Your Tokenizer?", ACL 2021,
# arXiv:2012.15613).
MOST_PIECES = 1.8
MOST_UNKNOWN = 0.05  # share of the tokens
FEWEST_CHARACTERS = 0.8  # per token in a script without spaces; byte-level tokenizers split unknown characters
ENOUGH = 0.1  # share of the letters above which scripts with, or without, spaces are measured


@dataclass(frozen=True)
class Familiarity:
    """How finely a tokenizer splits texts.

    Attributes:
        pieces: tokens a word, in scripts with spaces between words; None if there are too few letters of these.
        characters: characters a token, in scripts without spaces; None if there are too few letters of these.
        unknown: share of all tokens that are the unknown token.
    """

    pieces: float | None
    characters: float | None
    unknown: float

    @property
    def is_doubtful(self) -> bool:
        """Whether the teacher probably does not know the language."""
        split = self.pieces is not None and self.pieces > MOST_PIECES
        bytewise = self.characters is not None and self.characters < FEWEST_CHARACTERS
        return split or bytewise or self.unknown > MOST_UNKNOWN

    def __str__(self) -> str:
        parts = [f"{self.pieces:.2f} tokens a word"] if self.pieces is not None else []
        parts += [f"{self.characters:.2f} characters a token"] if self.characters is not None else []
        return ", ".join([*parts, f"{self.unknown:.1%} unknown tokens"])


def familiarity(texts: Sequence[str], encode: Callable[[str], list[int]], unknown: int | None) -> Familiarity:
    """Measure how finely a tokenizer splits ``texts``.

    Args:
        texts: ``SAMPLE`` texts suffice.
        encode: from text to token ids, without special tokens.
        unknown: the id of the unknown token; None if the tokenizer has none.
    """
    words = [word for text in texts for word in LETTERS.findall(text)]
    runs = [run for text in texts for run in RUNS.findall(text)]
    ids = [token for text in texts for token in encode(text)]
    letters, characters = sum(map(len, words)), sum(map(len, runs))
    unspaced = characters > ENOUGH * (letters + characters)
    spaced = letters > ENOUGH * (letters + characters)
    return Familiarity(
        pieces=len(encode(" ".join(words))) / len(words) if spaced else None,
        characters=characters / max(1, sum(len(encode(run)) for run in runs)) if unspaced else None,
        unknown=sum(token == unknown for token in ids) / max(1, len(ids)),
    )
