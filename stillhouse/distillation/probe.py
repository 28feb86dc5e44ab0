"""A linear probe as the teacher's head: better than fine-tuning if labels are few, and the reference for fine-tuning.

A. Kumar et al., "Fine-Tuning can Distort Pretrained Features and Underperform Out-of-Distribution", ICLR 2022,
arXiv:2202.10054.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import KFold
from torch import nn

from stillhouse.distillation.logistic import SOFT_ITERATIONS, fit, probabilities
from stillhouse.models.finished import FinishedClassifier
from stillhouse.models.teacher import Teacher
from stillhouse.task import TASK

STRENGTHS = tuple(10.0**power for power in range(-1, 6))
FOLDS = 4
JUDGING_STRENGTH = 1.0  # 10 found fewer wrong labels
SELECTION_TEXTS = 2000  # for selecting the strength
BATCH = 32


def classifier_head(model: nn.Module, classes: int) -> nn.Linear | None:
    """Return the linear layer that computes the logits of ``classes`` classes; None if there is no such layer."""
    if isinstance(model, FinishedClassifier):  # its logits are not the outputs of one layer
        return None
    found = [part for part in model.modules() if isinstance(part, nn.Linear) and part.out_features == classes]
    return found[-1] if found and found[-1].bias is not None else None


@contextmanager
def inputs_of(layer: nn.Module) -> Iterator[list[torch.Tensor]]:
    """Yield a list. Each forward pass appends the input of ``layer``."""
    read: list[torch.Tensor] = []
    hook = layer.register_forward_pre_hook(lambda _, inputs: read.append(inputs[0]))
    try:
        yield read
    finally:
        hook.remove()


def head_and_inputs(teacher: Teacher, texts: Sequence[str]) -> tuple[nn.Linear, np.ndarray] | None:
    """Return the linear layer that computes the logits, and its inputs, float32 of shape ``(texts, size)``.

    None if the teacher has no such layer, or if the layer does not read one vector for each text.
    """
    if (head := classifier_head(teacher.model, teacher.model.config.num_labels)) is None:
        return None
    result = np.zeros((len(texts), head.in_features), np.float32)
    with inputs_of(head) as read:
        for rows, _, _ in teacher.batches(texts, BATCH):
            vectors = read.pop()
            if vectors.ndim != 2:
                return None
            result[rows] = vectors.float().cpu().numpy()
    return head, result


def fit_probe(features: np.ndarray, labels: np.ndarray, seed: int) -> tuple[LogisticRegression, float]:
    """Fit a logistic regression. Cross-validated log loss selects the strength of the regularisation.

    Args:
        features: ``(texts, size)``.
        labels: class numbers ``(texts,)``, of at least two classes. A class may have one text.
        seed: of the selected texts and the folds.

    Returns:
        The model, fitted on all texts, and its cross-validated log loss.
    """
    rows = np.random.default_rng(seed).permutation(len(labels))[:SELECTION_TEXTS]
    strength, losses = cross_validated(features[rows], labels[rows], seed)
    return fit(features, labels, strength), _mean(losses)


def cross_validated(features: np.ndarray, labels: np.ndarray, seed: int) -> tuple[float, np.ndarray]:
    """Return the best strength of the regularisation, and its cross-validated log loss of each text.

    Texts of a class that the other folds do not have are left out.

    Args:
        features: ``(texts, size)``.
        labels: class numbers ``(texts,)``.
        seed: of the folds. For the same labels and seed the losses are in the same order.
    """
    found = [_log_losses(features, labels, strength, seed) for strength in STRENGTHS]
    best = int(np.argmin([_mean(losses) for losses in found]))
    return STRENGTHS[best], found[best]


def out_of_fold(features: np.ndarray, labels: np.ndarray, classes: int, seed: int) -> np.ndarray:
    """Return probabilities of labelled texts, float32 (texts, classes), each by a probe that was not trained on it.

    These probes are strongly regularised, because they judge labels some of which are wrong.

    Args:
        features: ``(texts, size)``.
        labels: class numbers ``(texts,)``.
        classes: number of classes.
        seed: of the folds.
    """
    result = np.full((len(labels), classes), 1 / classes, np.float32)
    for train, held in KFold(min(FOLDS, len(labels)), shuffle=True, random_state=seed).split(labels):
        if len(np.unique(labels[train])) > 1:
            model = fit(features[train], labels[train], JUDGING_STRENGTH, iterations=SOFT_ITERATIONS)
            result[held] = probabilities(model, features[held], classes)
    return result


def _mean(losses: np.ndarray) -> float:
    return float(losses.mean()) if len(losses) else 0.0


def _log_losses(features: np.ndarray, labels: np.ndarray, strength: float, seed: int) -> np.ndarray:
    losses: list[float] = []
    for train, validation in KFold(min(FOLDS, len(labels)), shuffle=True, random_state=seed).split(features):
        if len(np.unique(labels[train])) < 2:
            continue
        model = fit(features[train], labels[train], strength)
        known = validation[np.isin(labels[validation], model.classes_)]
        if len(known):
            predicted = model.predict_proba(features[known])
            columns = np.searchsorted(model.classes_, labels[known])
            losses += TASK.log_losses(predicted, columns).tolist()
    return np.array(losses)


@torch.no_grad()
def set_head(head: nn.Linear, model: LogisticRegression) -> None:
    """Copy ``model`` into ``head``. A class without training texts gets a logit that is never the highest."""
    weight, bias = model.coef_, model.intercept_
    if len(model.classes_) == 2:  # scikit-learn then stores the logit of the second class only
        weight, bias = np.concatenate([-weight, weight]) / 2, np.concatenate([-bias, bias]) / 2
    head.weight.zero_()
    head.bias.fill_(float(bias.min()) - 20.0)
    classes = torch.from_numpy(model.classes_)
    head.weight[classes] = torch.from_numpy(weight).to(head.weight)
    head.bias[classes] = torch.from_numpy(bias).to(head.bias)


def head_weights(head: nn.Linear, model: LogisticRegression) -> dict[str, torch.Tensor]:
    """Return the weights that :func:`set_head` would give ``head``, which does not change."""
    copy = deepcopy(head)
    set_head(copy, model)
    return copy.state_dict()
