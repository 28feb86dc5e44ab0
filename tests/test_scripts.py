"""Every script: baseline, co-training, altered copies, numbers of words and the student's vocabulary."""

import random
import warnings

import numpy as np
import pytest
from datasets import Dataset
from scripts import CORPORA, corpus
from sklearn.feature_extraction.text import TfidfVectorizer

from stillhouse.data.encoded import encode_texts, word_numbers
from stillhouse.data.terms import analyser, terms, words_of
from stillhouse.data.transfer import altered
from stillhouse.data.vocabulary import MASK, UNKNOWN_ID, learn_vocabulary
from stillhouse.distillation.cotraining import bag_of_words, cotrain
from stillhouse.distillation.probe import fit_probe
from stillhouse.evaluation.baseline import TfidfSvm
from stillhouse.params import Augment, Vocabulary
from stillhouse.serving.chunks import Chunks


@pytest.mark.parametrize("name", CORPORA)
def test_the_baseline_and_co_training_read_every_script(name):
    texts, labels = corpus(name)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        svm = TfidfSvm(0).fit(texts[:90], labels[:90])
    assert np.mean(svm.predict(texts[90:]) == labels[90:]) > 0.9
    noise = np.random.default_rng(0).normal(scale=0.8, size=(len(texts), 3))
    features = (np.eye(3)[labels] + noise).astype(np.float32)
    probe, _ = fit_probe(features[:24], labels[:24], seed=0)
    better = cotrain(probe, bag_of_words(texts), features, labels[:24], rounds=3)
    assert better is not probe
    before, after = (np.mean(model.predict(features) == labels) for model in (probe, better))
    assert after >= before - 0.05  # 24 labels: chance moves it by as much


@pytest.mark.parametrize("name", CORPORA)
def test_texts_of_one_character_are_read(name):
    texts, labels = corpus(name, known=1, other=0)
    texts = [text[0] for text in texts]
    assert np.mean(TfidfSvm(0).fit(texts, labels).predict(texts) == labels) > 0.6


def test_terms_of_english_are_those_of_scikit_learn():
    texts = [
        "I have a dog; it's 7 years old!",
        "The price of £5, or so.",
        "naïve café, e-mail me@x.org 2024",
        "UPPER_case",
    ]
    plain = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)
    mine = TfidfVectorizer(analyzer=analyser(texts), token_pattern=None, sublinear_tf=True)
    np.testing.assert_array_equal(plain.fit_transform(texts).toarray(), mine.fit_transform(texts).toarray())
    assert plain.get_feature_names_out().tolist() == mine.get_feature_names_out().tolist()


def test_indic_vowel_signs_are_parts_of_words_and_words_beside_characters_stay_words():
    assert terms("में की बात") == ["में", "की", "बात", "में की", "की बात"]
    assert {"iphone", "很", "很好"} <= set(terms("iPhone很好")) and "iphone很好" not in terms("iPhone很好")
    assert words_of("iPhone很好 ok 👨‍👩‍👧😀") == ["iPhone", "很", "好", "ok", "👨‍👩‍👧", "😀"]
    assert max(map(len, terms("x" * 50))) == 4 and terms("x" * 40) == ["x" * 40]


def test_texts_that_share_no_term_have_no_bag_of_words():
    assert bag_of_words([chr(0x4E00 + 7 * number) for number in range(12)]) is None


@pytest.mark.parametrize("name", ["Chinese", "Thai", "emoji", "mixed"])
def test_copies_of_texts_without_spaces_are_altered_by_characters(name):
    text = corpus(name, 1)[0][0]
    words = words_of(text)
    assert len(words) > 6

    def copies(**changes):
        settings = Augment(**{"folds": 1, "mask": 0.0, "drop": 0.0, "ngram": 0.0, "ngram_words": 8, **changes})
        return list(altered([text] * 300, settings, random.Random(0)))

    assert set(copies()) == {text}
    masked = [copy.count(MASK) for copy in copies(mask=0.25)]
    assert np.mean(masked) == pytest.approx(len(words) / 4, rel=0.15) and max(masked) < len(words)
    lengths = [len(words_of(copy)) for copy in copies(drop=0.25)]
    assert np.mean(lengths) == pytest.approx(0.75 * len(words), rel=0.15)
    runs = copies(ngram=1.0)
    assert all(run in text for run in runs) and len(set(runs)) > 5


def test_tokens_of_texts_without_spaces_know_their_characters():
    assert word_numbers("今天 ok好", [0, 1, 3, 4, 5]).tolist() == [0, 1, 2, 2, 3]


@pytest.mark.parametrize("name", CORPORA)
def test_the_student_and_the_served_model_read_every_script_alike(name, tmp_path):
    texts, _ = corpus(name, known=60, other=60)  # hundreds of characters without a space
    tokenizer = learn_vocabulary(texts, Vocabulary(pieces=300, min_frequency=2, lowercase=True))
    encoded = encode_texts([Dataset.from_dict({"text": texts})], tokenizer, 64, tmp_path / "ids")
    assert UNKNOWN_ID not in encoded.ids and encoded.lengths.min() >= 20
    served = Chunks(tokenizer, 64).ids(texts)
    assert b"".join(served) == np.asarray(encoded.ids).tobytes()
