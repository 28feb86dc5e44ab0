"""A short code for each class, which the model answers with.

One token carries a class's whole probability. Names of several tokens do not: their first tokens share it.
"""

import string
from collections import Counter
from collections.abc import Sequence

LETTERS = string.ascii_uppercase


def codes_for(names: Sequence[str]) -> list[str]:
    """One code for each class: ``A`` to ``Z``, or for more than 26 classes equally long groups of capital letters.

    Most tokenizers have two capital letters as one token; where they are two tokens, the first one stands for a small
    group of neighbouring classes: 52 classes are ``AA``, ``AB``, ``BA``, ... with two classes for each first letter.
    A class whose name is itself one of the codes has that code; case does not count, as in answers.
    """
    every = _codes(len(names))
    capitals = Counter(name.upper() for name in names)
    alone = [name for name in names if name in every or capitals[name.upper()] == 1]
    own = {name: name.upper() for name in alone if name.upper() in every}
    free = iter(code for code in every if code not in own.values())
    return [own[name] if name in own else next(free) for name in names]


def _codes(count: int) -> list[str]:
    if count <= len(LETTERS):
        return list(LETTERS[:count])
    ends = _codes(-(-count // len(LETTERS)))
    return [letter + end for letter in LETTERS for end in ends][:count]
