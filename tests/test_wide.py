"""The wide branch: a bag of pieces and pairs over the whole text, weighted as TF-IDF does."""

import numpy as np
import pytest
import torch
from test_students import TEXTS, TOKENIZER, student_of, token_ids

from stillhouse.data.encoded import Encoded
from stillhouse.models.students.architectures import ARCHITECTURES
from stillhouse.models.students.wide import Wide, lookup, pair_buckets
from stillhouse.params import Wide as Settings

SIZES = {"embedding": 8, "buckets": 64, "max_length": 64, "dropout": 0.5}


def encoded(rows):
    return Encoded(np.concatenate(rows).astype(np.int32), np.cumsum([0, *map(len, rows)]))


def test_it_is_the_weighted_sum_of_pieces_and_pairs_over_the_weights_norm():
    torch.manual_seed(0)  # numbers that cancel each other would not agree to five digits
    branch = Wide(10, Settings(embedding=4, buckets=1000, max_length=64, dropout=0.5)).eval()
    branch.set_idf_weights(encoded([np.array([3, 4, 3]), np.array([3, 5])]))
    idf = {1: np.log(3 / 2) + 1, 2: np.log(3 / 3) + 1}
    piece, pair = branch.pieces.weight.detach().numpy(), branch.pairs.weight.detach().numpy()
    bucket = pair_buckets(torch.tensor([[3, 4]]), 1000)[0][0, 0].item()
    expected = (idf[2] * piece[3] + idf[1] * piece[4] + idf[1] * pair[bucket]) / np.sqrt(idf[2] ** 2 + 2 * idf[1] ** 2)
    got = branch(torch.tensor([[3, 4, 0]])).detach().numpy()[0]
    np.testing.assert_allclose(got, expected, rtol=1e-5)


def test_what_no_training_text_has_weighs_nothing():
    branch = Wide(10, Settings(embedding=4, buckets=1000, max_length=64, dropout=0.5)).eval()
    branch.set_idf_weights(encoded([np.array([3, 4]), np.array([3, 5])]))
    assert branch.piece_weights[6:].abs().sum() == 0 and int((branch.pair_weights > 0).sum()) == 2
    assert branch(torch.tensor([[7, 8]])).abs().sum() == 0 and torch.isfinite(branch(torch.tensor([[0]]))).all()


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_it_reads_on_where_the_deep_branch_has_stopped(architecture):
    ids = token_ids(TEXTS[3:4])
    assert ids.shape[1] > 8
    changed = ids.clone()
    changed[0, -1] = 7
    for size, differs in ((8, True), (0, False)):
        network = student_of(architecture, max_length=4, wide={**SIZES, "embedding": size}).network.eval()
        assert network(ids).equal(network(changed)) is not differs


def test_a_network_reads_as_much_as_its_longest_branch():
    assert student_of("resnet", max_length=32, wide=SIZES).settings.reads == 64
    assert student_of("resnet", max_length=128, wide=SIZES).settings.reads == 128
    assert student_of("resnet", max_length=32, wide={**SIZES, "embedding": 0}).settings.reads == 32
    assert TOKENIZER.get_vocab_size() == len(student_of("resnet", wide=SIZES).network.wide.piece_weights)


def test_in_training_the_branch_of_some_texts_is_left_out_whole():
    torch.manual_seed(0)
    branch = Wide(10, Settings(embedding=4, buckets=1000, max_length=64, dropout=0.5)).train()
    out = branch(torch.full((200, 3), 5))
    left_out = (out == 0).all(1)
    assert 60 < int(left_out.sum()) < 140 and bool((out[~left_out] != 0).all())


def test_gradients_are_the_same_bytes_every_time():
    torch.manual_seed(0)
    table, ids = torch.randn(50, requires_grad=True), torch.randint(0, 50, (64, 1024))
    factors = torch.randn(ids.shape)
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        gradients = [torch.autograd.grad((lookup(table, ids) * factors).sum(), table)[0] for _ in range(30)]
    finally:
        torch.set_num_threads(threads)
    assert all(torch.equal(gradient, gradients[0]) for gradient in gradients)
    with torch.no_grad():
        assert torch.equal(lookup(table, ids), table[ids])
