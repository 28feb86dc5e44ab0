"""When two texts are the same, and a number that a text always draws."""

import hashlib


def text_key(text: str) -> bytes:
    """16 bytes, equal for texts that differ in nothing but case and white space."""
    return hashlib.blake2b(" ".join(text.casefold().split()).encode(), digest_size=16).digest()


def drawn(text: str, seed: int, purpose: str) -> float:
    """A number in [0, 1), even over texts, that hangs on the text, the seed and the purpose alone.

    What is chosen by it stays chosen whatever other texts come or go.
    """
    key = hashlib.blake2b(text_key(text), digest_size=8, key=f"{purpose}/{seed}".encode()[:64]).digest()
    return int.from_bytes(key, "big") / 2**64
