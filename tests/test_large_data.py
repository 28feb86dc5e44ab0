"""What grows with the number of texts stays the same in blocks: repeated texts, the vocabulary's sample, predictions."""

import numpy as np
import torch
from datasets import Dataset
from tables import texts_and_labels

from stillhouse.data.duplicates import TextKeys
from stillhouse.data.encoded import Encoded
from stillhouse.data.vocabulary import vocabulary_texts
from stillhouse.evaluation import speed
from stillhouse.evaluation.candidate import Candidate
from stillhouse.evaluation.confidence import Confidence
from stillhouse.evaluation.speed import measure_speed
from stillhouse.files import write_csv
from stillhouse.models.students.wide import Wide, pair_buckets
from stillhouse.params.student import Wide as Settings


def test_the_first_of_equal_texts_is_found_in_any_order():
    random = np.random.default_rng(0)
    texts = [f"text {number}" for number in random.integers(0, 300, 1000)]
    keys = TextKeys()
    keys.add(texts[:400])
    keys.add(text.upper() + " " for text in texts[400:])
    assert keys.first().tolist() == [texts.index(text) for text in texts]


def test_no_texts_have_no_first_one():
    assert len(TextKeys().first()) == 0


def test_the_vocabulary_reads_all_texts_up_to_a_number_and_above_it_a_sample_that_does_not_depend_on_the_order():
    texts = [f"the text {number}" for number in range(2000)]
    one, other = Dataset.from_dict({"text": texts[:1500]}), Dataset.from_dict({"text": texts[1500:]})
    assert list(vocabulary_texts([one, other], 13, 2000)) == texts
    few = list(vocabulary_texts([one, other], 13, 500))
    assert 400 < len(few) < 600
    assert set(few) == set(vocabulary_texts([other, one], 13, 500))


def test_predictions_in_blocks_are_those_of_one_call_in_memory_and_in_a_file(tmp_path, monkeypatch):
    texts = [text for text, _ in texts_and_labels(50)]

    def predict(some):
        return np.array([[len(text), text.count("a")] for text in some], np.float32)

    whole = predict(texts)
    monkeypatch.setattr(speed, "BLOCK", 7)
    for scratch in (None, tmp_path):
        scores, speeds = measure_speed([Candidate("one", predict, 0)], texts, 0.01, scratch)
        assert np.array_equal(scores["one"], whole) and speeds["one"].docs_per_s > 0


def test_the_calibration_of_many_texts_is_that_of_all_at_once(monkeypatch):
    random = np.random.default_rng(0)
    probabilities = random.dirichlet(np.ones(3), 500).astype(np.float32)
    labels = random.integers(-1, 3, 500)
    compressed = {"temperature": 1.3}
    whole = Confidence.of(compressed, probabilities, labels, [], 20, 1).numbers()
    monkeypatch.setattr("stillhouse.evaluation.confidence.BLOCK", 64)
    assert Confidence.of(compressed, probabilities, labels, [], 20, 1).numbers() == whole


def test_a_table_can_be_written_row_by_row(tmp_path):
    write_csv(tmp_path / "rows.csv", ({"one": number, "two": number / 3} for number in range(3)))
    assert (tmp_path / "rows.csv").read_text() == "one,two\n0,0\n1,0.333333\n2,0.666667\n"


def test_frequencies_of_pieces_and_pairs_are_those_of_each_text_alone():
    random = np.random.default_rng(0)
    offsets = np.concatenate([[0], np.cumsum(random.integers(0, 9, 250))])
    texts = Encoded(random.integers(0, 20, offsets[-1]).astype(np.int32), offsets)
    wide = Wide(20, Settings(embedding=2, buckets=31, max_length=9, dropout=0.0))
    pieces, pairs = np.zeros(20, int), np.zeros(31, int)
    for row in range(len(texts)):
        ids = torch.from_numpy(texts.padded(np.array([row])))
        buckets, is_pair = pair_buckets(ids, 31)
        pieces[np.unique(ids.numpy())] += 1
        pairs[np.unique(buckets[is_pair].numpy())] += 1
    found = wide._frequencies(texts)
    assert np.array_equal(found[0], pieces) and np.array_equal(found[1], pairs)
