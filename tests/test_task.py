"""The task type: labels, losses, decisions and metrics by hand, and that no other module decides a class."""

import ast
import subprocess
import sys

import numpy as np
import pytest
import torch
from project import ROOT
from sklearn.metrics import accuracy_score, f1_score

from stillhouse.distillation.losses.hinton import hinton
from stillhouse.task import TASK

RANDOM = np.random.default_rng(0)
LABELS, DECISIONS = RANDOM.integers(0, 4, 300), RANDOM.integers(0, 4, 300)

DECIDING = {"argmax", "softmax", "log_softmax", "cross_entropy", "nll_loss"}
DECIDING |= {"Softmax", "LogSoftmax", "CrossEntropyLoss", "NLLLoss"}
# What may be called outside of the task type, and why.
ALLOWED = {
    ("stillhouse/data/splitting.py", "argmax"): "over texts: the one with the largest hash",
    ("stillhouse/distillation/watch.py", "argmax"): "over steps: the one with the largest loss",
    ("stillhouse/models/pooling.py", "argmax"): "over tokens: the first and the last one",
    ("stillhouse/models/finished.py", "log_softmax"): "over the labels of a checkpoint, which are added up by class",
    ("stillhouse/models/students/pooling.py", "softmax"): "over tokens: the weights of attention pooling",
    ("stillhouse/distillation/losses/minilm.py", "log_softmax"): "over words: attention between them",
    ("stillhouse/distillation/losses/dkd.py", "log_softmax"): "the formula of this loss for single-label logits",
    ("stillhouse/distillation/losses/dist.py", "softmax"): "the formula of this loss for single-label logits",
}


def deciding(source):
    """Names and attributes in ``source`` that turn scores into classes, or into a loss over classes."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        names = [getattr(node, "attr", None), getattr(node, "id", None)]
        names += [alias.name for alias in node.names] if isinstance(node, ast.ImportFrom) else []
        found |= DECIDING.intersection(names)
    return found


def test_no_module_but_the_task_type_decides_a_class():
    files = [file for folder in ("stillhouse", "tasks", "flows") for file in sorted((ROOT / folder).rglob("*.py"))]
    used = {(str(file.relative_to(ROOT)), name) for file in files for name in deciding(file.read_text("utf-8"))}
    elsewhere = {(file, name) for file, name in used if file != "stillhouse/task.py"}
    assert elsewhere - ALLOWED.keys() == set(), "use stillhouse.task.TASK"
    assert ALLOWED.keys() - elsewhere == set(), "remove what is not used any more from ALLOWED"


@pytest.mark.parametrize(
    "source",
    [
        "scores.argmax(1)",
        "np.argmax(scores, 1)",
        "functional.cross_entropy(logits, labels)",
        "from torch.nn.functional import softmax as s",
        "loss = nn.CrossEntropyLoss()",
    ],
)
def test_a_decision_is_found_in_whatever_form(source):
    assert deciding(source)


def test_the_task_type_imports_numpy_alone():
    code = "import sys, stillhouse.task\nprint({'torch', 'sklearn', 'scipy', 'pydantic'} & sys.modules.keys())"
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "set()"


def test_labels_are_encoded_by_class_and_decoded():
    labels = TASK.encode(["b", "a", "b"], ["a", "b"])
    assert labels.dtype == np.int64 and labels.tolist() == [1, 0, 1]
    assert TASK.decode(labels, ["a", "b"]) == ["b", "a", "b"]
    assert TASK.encode([], ["a"]).dtype == np.int64
    assert TASK.targets(labels, 3).tolist() == [[0, 1, 0], [1, 0, 0], [0, 1, 0]]
    with pytest.raises(KeyError):
        TASK.encode(["c"], ["a", "b"])


def test_texts_without_a_label_are_known_and_cost_nothing():
    labels = np.concatenate([[1, 0], TASK.no_labels(2)])
    assert TASK.unlabelled(labels).tolist() == [False, False, True, True]
    logits, known = torch.tensor([[0.0, 2.0]]).repeat(4, 1), torch.tensor([1, 0])
    losses = TASK.hard_loss(logits, torch.from_numpy(labels))
    assert losses[2:].tolist() == [0, 0] and (losses[:2] > 0).all()
    mean = TASK.hard_loss(logits, torch.from_numpy(labels), "mean")
    assert mean.item() == TASK.hard_loss(logits[:2], known, "mean").item() == pytest.approx(losses[:2].mean().item())


def test_the_loss_hinton_is_the_soft_loss_of_the_task_type():
    student, teacher = torch.randn(4, 3), torch.randn(4, 3)
    assert torch.equal(hinton(student, teacher, torch.zeros(4), 2.0), TASK.soft_loss(student, teacher, 2.0))


def test_soft_labels_become_weighted_labels_of_the_three_most_probable_classes():
    rows, labels, weights = TASK.weighted_labels(np.array([[0.3, 0.4, 0.1, 0.2], [0.02, 0.04, 0.94, 0.0]]))
    assert rows.tolist() == [0, 0, 0, 1] and labels.tolist() == [1, 0, 3, 2]
    assert weights.tolist() == [0.4, 0.3, 0.2, 0.94]


def test_probabilities_decision_and_confidence_belong_together():
    logits = RANDOM.normal(size=(50, 5)).astype(np.float32)
    probabilities = TASK.probabilities(logits)
    assert probabilities.dtype == np.float32
    np.testing.assert_array_equal(TASK.decision(probabilities), TASK.decision(logits))
    np.testing.assert_array_equal(TASK.decision(torch.from_numpy(logits)).numpy(), TASK.decision(logits))
    chosen = probabilities[np.arange(50), TASK.decision(logits)]
    np.testing.assert_array_equal(TASK.confidence(probabilities), chosen)
    np.testing.assert_allclose(TASK.probabilities(TASK.logits(probabilities)), probabilities, rtol=1e-5)
    np.testing.assert_allclose(TASK.log_losses(probabilities, TASK.decision(logits)), -np.log(chosen))


def test_probabilities_of_extreme_logits_are_finite():
    np.testing.assert_allclose(TASK.probabilities(np.array([[1e4, -1e4, 0.0]])), [[1, 0, 0]])


def test_metrics_agree_with_scikit_learn():
    metrics = TASK.metrics(LABELS, DECISIONS)
    assert metrics["accuracy"] == pytest.approx(accuracy_score(LABELS, DECISIONS))
    assert metrics["macro_f1"] == pytest.approx(f1_score(LABELS, DECISIONS, average="macro"))
    assert TASK.agreement(LABELS, LABELS) == 1


def test_calibration_error_is_zero_when_confidence_is_accuracy():
    probabilities = np.array([[0.75, 0.25]] * 4)
    assert TASK.calibration_error(np.array([0, 0, 0, 1]), probabilities) == pytest.approx(0)
    assert TASK.calibration_error(np.array([1, 1, 1, 1]), probabilities) == pytest.approx(0.75)


def test_class_counts_are_the_margins_and_the_diagonal_of_the_confusion():
    confusion = TASK.confusion(LABELS, DECISIONS, 5)
    labelled, decided, right = TASK.class_counts(LABELS, DECISIONS, 5)
    assert confusion.sum() == len(LABELS) and confusion[0, 1] == ((LABELS == 0) & (DECISIONS == 1)).sum()
    np.testing.assert_array_equal(labelled, confusion.sum(1))
    np.testing.assert_array_equal(decided, confusion.sum(0))
    np.testing.assert_array_equal(right, confusion.diagonal())
    assert TASK.most_frequent(LABELS, 4) == labelled.argmax()
