"""Each loss against values worked by hand, and against what its paper promises of it."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from stillhouse.distillation.losses import LOSSES, signal_of
from stillhouse.distillation.losses.dist import dist
from stillhouse.distillation.losses.dkd import dkd
from stillhouse.distillation.losses.features import features
from stillhouse.distillation.losses.hinton import hinton
from stillhouse.distillation.losses.minilm import minilm
from stillhouse.distillation.losses.mse import mse
from stillhouse.distillation.losses.standardised import standardised

LOGIT_LOSSES = {name: LOSSES[name] for name in LOSSES if signal_of(LOSSES[name]) == "logits"}
NO_LABELS = torch.full((8,), -1)
logits = arrays("float32", (8, 5), elements=st.integers(-32, 32).map(lambda n: n / 4)).map(torch.from_numpy)
temperatures = st.sampled_from([0.5, 1.0, 4.0, 20.0])


def kl(p, q):
    return sum(a * math.log(a / b) for a, b in zip(p, q, strict=True))


def test_hinton_by_hand():
    # Teacher softened at T = 2: (e^1, e^0) / (e + 1); student: (1/2, 1/2).
    p = math.e / (math.e + 1)
    got = hinton(torch.zeros(3, 2), torch.tensor([[2.0, 0.0]]).repeat(3, 1), NO_LABELS[:3], 2.0)
    assert got.tolist() == pytest.approx([4 * kl([p, 1 - p], [0.5, 0.5])] * 3, rel=1e-5)


def test_mse_by_hand():
    # Centred: (1, -1) and (-2, 2): differences 3 and -3, squares 9 and 9.
    assert mse(torch.tensor([[2.0, 0.0]]), torch.tensor([[0.0, 4.0]]), NO_LABELS[:1], 1.0).tolist() == [9.0]


def test_standardised_by_hand():
    # (0, 2, 4) has mean 2 and deviation sqrt(8/3), so it becomes (-a, 0, a) with a = sqrt(3/2).
    a = math.sqrt(1.5)
    weights = [math.exp(-a), 1.0, math.exp(a)]
    p = [w / sum(weights) for w in weights]
    got = standardised(torch.tensor([[5.0, 3.0, 1.0]]), torch.tensor([[0.0, 2.0, 4.0]]), NO_LABELS[:1], 1.0)
    assert got.item() == pytest.approx(kl(p, p[::-1]), rel=1e-5)


def test_dkd_by_hand():
    # Target 0. Teacher (1/2, 1/4, 1/4), student (1/3, 1/2, 1/6): of the rest (1/2, 1/2) against (3/4, 1/4).
    teacher, student = (torch.tensor([row]).log() for row in ([1 / 2, 1 / 4, 1 / 4], [1 / 3, 1 / 2, 1 / 6]))
    expected = kl([1 / 2, 1 / 2], [1 / 3, 2 / 3]) + 8 * kl([1 / 2, 1 / 2], [3 / 4, 1 / 4])
    assert dkd(student, teacher, torch.tensor([0]), 1.0).item() == pytest.approx(expected, rel=1e-5)
    # Without a label the teacher's first answer, which is 0 as well, takes its place.
    assert dkd(student, teacher, torch.tensor([-1]), 1.0).item() == pytest.approx(expected, rel=1e-5)


def test_hinton_is_dkd_with_the_second_part_weighted_by_the_teachers_doubt():
    # KL = TCKD + (1 - p_target) NCKD, the paper's equation 6.
    torch.manual_seed(0)
    student, teacher, labels = torch.randn(8, 5), torch.randn(8, 5), torch.arange(8) % 5
    doubt = 1 - teacher.softmax(1)[torch.arange(8), labels]
    whole = hinton(student, teacher, labels, 1.0)
    pair = torch.stack([teacher.softmax(1)[torch.arange(8), labels], doubt], 1)
    own = student.softmax(1)[torch.arange(8), labels]
    target = (pair * (pair / torch.stack([own, 1 - own], 1)).log()).sum(1)
    rest = (dkd(student, teacher, labels, 1.0) - target) / 8
    torch.testing.assert_close(whole, target + doubt * rest, rtol=1e-4, atol=1e-5)


def test_dist_by_hand():
    # Two texts answered by each other's probabilities: within a text and over the texts the correlation is -1.
    teacher = torch.tensor([[0.8, 0.2], [0.2, 0.8]]).log()
    assert dist(teacher.flip(0), teacher, NO_LABELS[:2], 1.0).tolist() == pytest.approx([4.0, 4.0], rel=1e-4)


def test_features_by_hand():
    one, other = torch.tensor([[3.0, 0.0], [1.0, 0.0], [2.0, 2.0]]), torch.tensor([[5.0, 0.0], [-1.0, 0.0], [0.0, 1.0]])
    assert features(one, other).tolist() == pytest.approx([0.0, 4.0, 2 - math.sqrt(2)], abs=1e-5)


def test_minilm_by_hand():
    # One relation head of width 1, two words. Teacher 0: all relations even. Student (1, 0): scores (1, 0) and (0, 0).
    student, teacher = torch.tensor([[1.0], [0.0]]).repeat(1, 3, 1, 1), torch.zeros(1, 3, 2, 1)
    p = math.e / (math.e + 1)
    expected = kl([0.5, 0.5], [p, 1 - p]) / 2  # the second word relates evenly
    assert minilm(student, teacher, torch.ones(1, 2), heads=1).item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("name", LOGIT_LOSSES)
@settings(max_examples=60, deadline=None)
@given(teacher=logits, student=logits, temperature=temperatures)
def test_losses_are_zero_at_the_teacher_and_never_negative(name, teacher, student, temperature):
    loss = LOGIT_LOSSES[name]
    scale = temperature**2
    assert loss(teacher, teacher, NO_LABELS, temperature).abs().max().item() <= 5e-4 * scale
    values = loss(student, teacher, NO_LABELS, temperature)
    assert values.shape == (8,) and values.min().item() >= -1e-4 * scale
    # A constant added to a row changes no probability.
    shifted = loss(student + 3.0, teacher - 2.0, NO_LABELS, temperature)
    torch.testing.assert_close(shifted, values, rtol=1e-2, atol=1e-3 * scale)


@settings(max_examples=40, deadline=None)
@given(teacher=logits, factor=st.floats(0.1, 10))
def test_standardised_does_not_see_the_size_of_logits(teacher, factor):
    teacher = teacher + torch.arange(5.0) * 10  # never a constant row, which has no size
    value = standardised(teacher * factor, teacher, NO_LABELS, 2.0)
    assert value.abs().max().item() < 1e-3


@settings(max_examples=40, deadline=None)
@given(student=logits, teacher=logits, order=st.permutations(range(5)))
def test_no_loss_depends_on_the_order_of_classes(student, teacher, order):
    teacher = teacher + torch.arange(5.0) * 1e-3  # the first answer is one class
    for loss in LOGIT_LOSSES.values():
        one, other = loss(student, teacher, NO_LABELS, 2.0), loss(student[:, order], teacher[:, order], NO_LABELS, 2.0)
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("name", LOGIT_LOSSES)
@pytest.mark.parametrize("temperature", [0.5, 4.0])
def test_gradients_are_finite_at_extreme_logits(name, temperature):
    extreme = torch.tensor([[1e4, -1e4, 0.0, 1.0, 2.0], [0.0] * 5], requires_grad=True)
    for teacher in (-extreme.detach(), torch.zeros(2, 5), extreme.detach() * 1e2):
        extreme.grad = None
        LOGIT_LOSSES[name](extreme, teacher, torch.tensor([0, -1]), temperature).sum().backward()
        assert torch.isfinite(extreme.grad).all(), teacher


def test_state_losses_are_zero_at_the_teacher_ignore_padding_and_have_finite_gradients():
    torch.manual_seed(0)
    teacher = torch.randn(4, 3, 6, 24)
    mask = torch.tensor([[1.0] * 6, [1.0] * 3 + [0.0] * 3, [1.0] + [0.0] * 5, [0.0] * 6])
    assert minilm(teacher, teacher, mask).abs().max().item() < 1e-6
    student = torch.randn(4, 3, 6, 48)
    values = minilm(student, teacher, mask)
    assert (values[:2] > 0).all() and values[2:].abs().max() < 1e-6  # one word relates to itself alone
    elsewhere = student + (1 - mask)[:, None, :, None] * 100
    torch.testing.assert_close(minilm(elsewhere, teacher, mask), values)
    for loss in (lambda x: minilm(x, teacher, mask), lambda x: features(x.flatten(1), torch.zeros(4, 864))):
        x = (torch.randn(4, 3, 6, 48) * 1e3).requires_grad_()
        loss(x).sum().backward()
        assert torch.isfinite(x.grad).all()
