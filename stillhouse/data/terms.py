"""Splits texts of any script into words, and into characters if the script has no spaces between words.

Every bag of words, every altered copy of a text and every count of words uses this module.
"""

import sys
from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise

import regex

# Scripts without spaces between words (Unicode Standard Annex 14: ideographs and complex context dependent), and
# syllables of Tibetan and Yi. Emoji are written without spaces, too.
SCRIPTS = [
    *("Han", "Hiragana", "Katakana", "Bopomofo", "Yi", "Tangut", "Nushu", "Thai", "Lao", "Khmer", "Myanmar", "Tibetan"),
    *("Javanese", "Balinese", "Tai_Le", "New_Tai_Lue", "Tai_Tham", "Tai_Viet"),
]
_SCRIPT = "".join(rf"\p{{Script_Extensions={name}}}" for name in SCRIPTS)
_EMOJI = r"[\p{Extended_Pictographic}--[\u00a9\u00ae\u2122]]\p{Emoji_Modifier}\p{Regional_Indicator}\u200d\ufe0f\u20e3"
UNSPACED = rf"[[\w&&[{_SCRIPT}]]{_EMOJI}]"
# Runs: sequences of characters of scripts without spaces, and of emoji.
RUNS = regex.compile(rf"(?V1){UNSPACED}+")
# In regex, \w includes the vowel signs of Indic scripts, unlike in re. For ASCII both are the same.
TERMS = regex.compile(rf"(?V1)(?P<run>{UNSPACED}+)|(?P<word>[\w--{UNSPACED}]+)|(?P<sign>[^\w\s])")
WORDS = regex.compile(r"\w\w+")
LETTERS = regex.compile(rf"(?V1)[\p{{L}}\p{{M}}--{UNSPACED}]+")
UNITS = regex.compile(rf"(?V1)(?:(?!{UNSPACED})\S)+|(?!\s)\X")

GRAMS = 4  # most characters of a term in a script without spaces
LONG = 40  # longer words are read as text without spaces
TYPICAL = 12  # mean letters a word above which texts count as without spaces (English 5, Finnish 8)
POOR = 0.7  # share of visible characters in words of two letters or more; below it all words and signs are terms
SAMPLE = 500  # texts that the rules are chosen from


def analyser(texts: Sequence[str]) -> Callable[[str], list[str]]:
    """Return the function from a text to its terms, for a vectorizer of texts like these.

    Terms are words of two letters or more and pairs of neighbouring words, as in scikit-learn's vectorizers. In scripts
    without spaces, and for emoji, terms are up to ``GRAMS`` neighbouring characters. If the texts have few words of two
    letters or more (but numbers, single letters, signs), all words and signs are terms. The same holds for a text that
    would otherwise have no term. Words that are too long are read as a script without spaces.
    """
    sample = texts[:: max(1, len(texts) // SAMPLE)]
    parts = [_split(text, every=False, longest=sys.maxsize) for text in sample]
    lengths = [len(word) for words, _ in parts for word in words]
    shares = [
        sum(map(len, words + runs)) / max(1, len("".join(text.split())))
        for text, (words, runs) in zip(sample, parts, strict=True)
    ]
    every = bool(shares) and sum(shares) / len(shares) < POOR
    spaceless = bool(lengths) and sum(lengths) / len(lengths) > TYPICAL
    return partial(terms, every=every, longest=0 if spaceless else LONG)


def terms(text: str, every: bool = False, longest: int = LONG) -> list[str]:
    """Return the terms of a text; with ``every`` also its words of one letter and its signs.

    Words of more than ``longest`` characters are read as runs of characters.
    """
    words, runs = _split(text.lower(), every, longest)
    made = [gram for run in runs for gram in _grams(run)] + words
    made += [f"{one} {other}" for one, other in pairwise(words)]
    return made if made or every else terms(text, True, longest)


def _split(text: str, every: bool, longest: int) -> tuple[list[str], list[str]]:
    """Return the words of a text, and its runs of characters of scripts without spaces."""
    if not every and not has_unspaced(text):  # this holds for most texts and is three times as fast
        words = WORDS.findall(text)
        if all(len(word) <= longest for word in words):
            return words, []
    words, runs = [], []
    for found in TERMS.finditer(text):
        part = found.group()
        if found.lastgroup == "run" or (found.lastgroup == "word" and len(part) > longest):
            runs.append(part)
        elif every or (found.lastgroup == "word" and len(part) > 1):
            words.append(part)
    return words, runs


def has_unspaced(text: str) -> bool:
    """Whether the text has characters of a script without spaces, or emoji."""
    return not text.isascii() and RUNS.search(text) is not None


def words_of(text: str) -> list[str]:
    """Split a text at spaces. In scripts without spaces, and for emoji, each character (grapheme) is a word."""
    return UNITS.findall(text) if has_unspaced(text) else text.split()


def spaced_words(text: str) -> list[tuple[str, str]]:
    """Return the words of :func:`words_of`, each with its separator before it: a space or nothing."""
    if not has_unspaced(text):
        return [(" ", word) for word in text.split()]
    found = list(UNITS.finditer(text))
    ends = [-1, *(word.end() for word in found)]
    return [("" if word.start() == end else " ", word.group()) for word, end in zip(found, ends, strict=False)]


def word_starts(text: str) -> list[bool]:
    """Return for each character whether a word of :func:`words_of` begins there."""
    starts = [False] * len(text)
    for word in UNITS.finditer(text):
        starts[word.start()] = True
    return starts


def _grams(run: str) -> list[str]:
    return [run[start : start + length] for length in range(1, GRAMS + 1) for start in range(len(run) - length + 1)]
