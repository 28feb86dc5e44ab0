"""Checks whether a teacher's tokenizer suits the language of the texts."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from stillhouse.data.terms import LETTERS, RUNS

SAMPLE = 500  # sample size, in texts
# A tokenizer splits words of languages that it was not trained on. The tokenizer of an English BERT makes 1.1 tokens
# of an English word, and 1.8 to 3 of a word in another European language. Multilingual tokenizers make up to 1.8 tokens
# of a word in a language that they were trained on (P. Rust et al., "How Good is Your Tokenizer?", ACL 2021,
# arXiv:2012.15613).
MAX_TOKENS_PER_WORD = 1.8
MAX_UNKNOWN_SHARE = 0.05  # of the tokens
MIN_CHARACTERS_PER_TOKEN = 0.8  # in scripts without spaces; byte-level tokenizers split unknown characters
MIN_SCRIPT_SHARE = 0.1  # scripts with, or without, spaces are measured if more than this share of the letters is theirs


@dataclass(frozen=True)
class TokenizerFit:
    """How finely a tokenizer splits texts.

    Attributes:
        tokens_per_word: in scripts with spaces between words; None if too few letters are of such scripts.
        characters_per_token: in scripts without spaces; None if too few letters are of such scripts.
        unknown_share: share of all tokens that are the unknown token.
    """

    tokens_per_word: float | None
    characters_per_token: float | None
    unknown_share: float

    @property
    def is_doubtful(self) -> bool:
        """Whether the teacher probably does not know the language."""
        many = self.tokens_per_word is not None and self.tokens_per_word > MAX_TOKENS_PER_WORD
        bytewise = self.characters_per_token is not None and self.characters_per_token < MIN_CHARACTERS_PER_TOKEN
        return many or bytewise or self.unknown_share > MAX_UNKNOWN_SHARE

    def __str__(self) -> str:
        parts = [f"{self.tokens_per_word:.2f} tokens a word"] if self.tokens_per_word is not None else []
        if self.characters_per_token is not None:
            parts.append(f"{self.characters_per_token:.2f} characters a token")
        return ", ".join([*parts, f"{self.unknown_share:.1%} unknown tokens"])


def measure_tokenizer_fit(
    texts: Sequence[str], encode: Callable[[str], list[int]], unknown_id: int | None
) -> TokenizerFit:
    """Measure how finely a tokenizer splits ``texts``.

    Args:
        texts: a sample. ``SAMPLE`` texts are enough.
        encode: from text to token ids, without special tokens.
        unknown_id: the id of the unknown token; None if the tokenizer has none.
    """
    words = [word for text in texts for word in LETTERS.findall(text)]
    runs = [run for text in texts for run in RUNS.findall(text)]  # sequences of characters of scripts without spaces
    ids = [token for text in texts for token in encode(text)]
    letters, characters = sum(map(len, words)), sum(map(len, runs))
    unspaced = characters > MIN_SCRIPT_SHARE * (letters + characters)
    spaced = letters > MIN_SCRIPT_SHARE * (letters + characters)
    return TokenizerFit(
        tokens_per_word=len(encode(" ".join(words))) / len(words) if spaced else None,
        characters_per_token=characters / max(1, sum(len(encode(run)) for run in runs)) if unspaced else None,
        unknown_share=sum(token == unknown_id for token in ids) / max(1, len(ids)),
    )
