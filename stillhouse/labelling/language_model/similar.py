"""The labelled examples that are most similar to a text."""

from collections.abc import Iterator, Sequence

import numpy as np

BATCH = 256  # texts compared at once


def most_similar(
    texts: Sequence[str], examples: Sequence[tuple[str, str]], count: int
) -> Iterator[list[tuple[str, str]]]:
    """Yield for each text its ``count`` most similar examples by TF-IDF cosine, the most similar one last.

    An example with the same text is left out: in an audit the texts are themselves among the examples.
    """
    if not count or not examples:
        yield from ([] for _ in texts)
        return
    from sklearn.feature_extraction.text import TfidfVectorizer  # takes seconds, and most runs have no examples

    from stillhouse.data.terms import analyser

    known = [text for text, _ in examples]
    vectorizer = TfidfVectorizer(analyzer=analyser(known), sublinear_tf=True)
    try:
        vectors = vectorizer.fit_transform(known)
    except ValueError:  # the examples have no terms
        yield from ([one for one in examples if one[0] != text][:count] for text in texts)
        return
    for start in range(0, len(texts), BATCH):
        batch = texts[start : start + BATCH]
        likeness = (vectorizer.transform(batch) @ vectors.T).toarray()
        for text, row in zip(batch, likeness, strict=True):
            order = [int(i) for i in np.argsort(-row, kind="stable")[: count + 50] if known[i] != text]
            yield [examples[i] for i in reversed(order[:count])]
