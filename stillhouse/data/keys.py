"""Keys of texts: for duplicates, and for selection by hash."""

import hashlib

KEY_BYTES = 16


def text_key(text: str) -> bytes:
    """Return 16 bytes that are equal for texts that differ only in case and white space."""
    return hashlib.blake2b(" ".join(text.casefold().split()).encode(), digest_size=KEY_BYTES).digest()


def uniform_hash(text: str, seed: int, purpose: str) -> float:
    """Return a hash of text, seed and purpose, uniform in [0, 1).

    It does not depend on the other texts. A selection by this hash does not change when texts are added or removed.
    """
    key = f"{purpose}/{seed}".encode()[:64]  # BLAKE2b keys have at most 64 bytes
    digest = hashlib.blake2b(text_key(text), digest_size=8, key=key).digest()
    return int.from_bytes(digest, "big") / 2**64
