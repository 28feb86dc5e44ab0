"""Whether a teacher probably knows the language of the texts, by what its tokenizer makes of them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from stillhouse.data.terms import LETTERS, RUNS

LOOKED_AT = 500  # texts
# A tokenizer splits words that it was not made for. That of an English BERT makes 1.1 tokens of an English word and 1.8
# to 3 of one in another European language; multilingual ones make up to 1.8 of the languages that they were made for
# (P. Rust et al., "How Good is Your Tokenizer?", ACL 2021, arXiv:2012.15613).
MOST_PIECES = 1.8
MOST_UNKNOWN = 0.05  # share of the tokens
FEWEST_CHARACTERS = 0.8  # of a script without spaces in a token; byte-level tokenizers split what they do not know
ENOUGH = 0.1  # share of the letters in such scripts from which these count


@dataclass(frozen=True)
class Familiarity:
    """What a tokenizer makes of texts; None where there is nothing to count.

    Attributes:
        pieces: tokens of a word, where words have spaces between them.
        characters: characters of a token, in scripts without spaces.
        unknown: share of the tokens that are the unknown token, in all of the text.
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
    """What ``encode`` (text to token ids, without special tokens) makes of ``texts``; ``LOOKED_AT`` are enough.

    ``unknown`` is the id of the unknown token, or None where the tokenizer has none.
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
