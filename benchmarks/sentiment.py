"""Short texts in three classes: sentences of reviews, tweets and editorials with the mean of twenty ratings each.

The ratings are those of C. Hutto and E. Gilbert, "VADER: A Parsimonious Rule-based Model for Sentiment Analysis of
Social Media Text", ICWSM 2014. They are in the source archive of the package ``vaderSentiment``.
"""

import tarfile
from pathlib import Path

import numpy as np

from benchmarks.download import download

ARCHIVE = "vaderSentiment==3.3.2"
INNER = "vaderSentiment-3.3.2/additional_resources/hutto_ICWSM_2014.tar.gz"
SOURCES = ("amazonReviewSnippets", "movieReviewSnippets", "nytEditorialSnippets", "tweets")
NEUTRAL = 0.5  # a mean rating, from -4 to 4, up to this size is neutral
TEST = 0.2  # share of the texts


def read(data: Path) -> list[list[tuple[str, str]]]:
    """Return the rows (text, label) of the training and test texts, split at random. Each text is there once."""
    archive = download(ARCHIVE, data / "archives", "vaderSentiment*.tar.gz", "--no-binary", ":all:")
    rows: dict[str, str] = {}
    with tarfile.open(archive) as outer, tarfile.open(fileobj=outer.extractfile(INNER)) as inner:
        for source in SOURCES:
            file = inner.extractfile(f"hutto_ICWSM_2014/{source}_GroundTruth.txt")
            if file is None:
                raise SystemExit(f"{archive} has no ratings of {source}")
            for line in file.read().decode("utf-8").splitlines():
                _, rating, text = line.split("\t", 2)
                rows.setdefault(text.strip(), _label(float(rating)))
    texts = list(rows.items())
    order = np.random.default_rng(0).permutation(len(texts))
    cut = int(TEST * len(texts))
    return [[texts[row] for row in np.sort(part)] for part in (order[cut:], order[:cut])]


def _label(rating: float) -> str:
    return "neutral" if abs(rating) <= NEUTRAL else "positive" if rating > 0 else "negative"
