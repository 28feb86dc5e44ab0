"""The classical baseline: TF-IDF with a linear support vector machine."""

from collections.abc import Sequence

import numpy as np
from scipy.sparse import csr_matrix
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.svm import LinearSVC

from stillhouse.data.terms import analyser


class TfidfSvm:
    """Sublinear TF-IDF of words and word pairs, and a one-against-the-rest LinearSVC with its default C.

    In a script without spaces between words the terms are characters and pairs of them
    (:func:`~stillhouse.data.terms.terms`).
    """

    def __init__(self, seed: int) -> None:
        self.vectorizer = TfidfVectorizer(token_pattern=None, sublinear_tf=True, dtype=np.float32)
        self.classifier = LinearSVC(random_state=seed)

    def fit(self, texts: Sequence[str], labels: np.ndarray) -> "TfidfSvm":
        """Train on texts and their class numbers, ``(texts,)``."""
        self.vectorizer.set_params(analyzer=analyser(texts))
        self.classifier.fit(self.vectorizer.fit_transform(texts), labels)
        return self

    def predict(self, texts: Sequence[str]) -> np.ndarray:
        """Class numbers, int64 of shape ``(len(texts),)``."""
        features: csr_matrix = self.vectorizer.transform(texts)
        return np.asarray(self.classifier.predict(features))

    @property
    def bytes(self) -> int:
        """Bytes that serving needs: weights, inverse document frequencies and the vocabulary."""
        words = sum(len(word.encode()) + 4 for word in self.vectorizer.vocabulary_)
        return int(self.classifier.coef_.nbytes + self.vectorizer.idf_.nbytes + words)
