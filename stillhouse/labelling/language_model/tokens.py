"""Numbers of tokens without the model's tokenizer: an upper limit for prices, and an estimate for lengths."""

import math
import string

PLAIN = (string.ascii_letters + " ").encode()
PLAIN_PER_TOKEN = 3  # English has about 4.5 letters and spaces a token; other languages with Latin letters have less
TOKENS_PER_OTHER = 1.5  # characters outside of ASCII
CUT = "\n[...]\n"


def most_tokens(data: bytes) -> int:
    """The largest number of tokens of UTF-8 text: one for each byte (byte-level BPE, SentencePiece with bytes)."""
    return len(data)


def likely_tokens(text: str) -> int:
    """An estimate of the tokens of ``text``, above the real number for most texts and tokenizers."""
    ascii_part = text.encode("ascii", "ignore")
    signs = len(ascii_part.translate(None, PLAIN))
    return math.ceil(
        (len(ascii_part) - signs) / PLAIN_PER_TOKEN + signs + (len(text) - len(ascii_part)) * TOKENS_PER_OTHER
    )


def cut_middle(text: str, room: int) -> tuple[str, bool]:
    """Shorten ``text`` to an estimated ``room`` tokens. Its beginning and its end stay.

    Returns:
        The text, and whether it was cut.
    """
    tokens = likely_tokens(text)
    if tokens <= room:
        return text, False
    room = max(0, room - likely_tokens(CUT))
    length = len(text)
    while True:
        length = min(length - 1, int(length * room / max(1, tokens)))
        if length <= 0:
            return "", True
        head = (length + 1) // 2
        shorter = text[:head] + text[len(text) - (length - head) :]
        tokens = likely_tokens(shorter)
        if tokens <= room:
            return text[:head] + CUT + text[len(text) - (length - head) :], True
