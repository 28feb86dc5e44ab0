"""Names of classes that are probably mistakes: nearly equal names, and names that combine others."""

import unicodedata


def similar_names(names: list[str]) -> list[tuple[str, str]]:
    """Return pairs of classes whose names differ only in case, invisible characters or the encoding of a letter."""
    seen: dict[str, str] = {}
    pairs = []
    for name in names:
        plain = "".join(letter for letter in unicodedata.normalize("NFKC", name) if letter.isprintable()).casefold()
        if (key := " ".join(plain.split())) in seen:
            pairs.append((seen[key], name))
        seen.setdefault(key, name)
    return pairs


def combined_names(names: list[str]) -> list[tuple[str, str]]:
    """Return classes whose names combine names of other classes with ``|``, ``;`` or ``,``, and the separator.

    Their texts probably have several labels.
    """
    known = set(names)
    found = []
    for name in names:
        for mark in "|;,":
            parts = [part.strip() for part in name.split(mark)]
            if len(parts) > 1 and known.issuperset(parts):
                found.append((name, mark))
                break
    return found
