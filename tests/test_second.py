"""Second teachers: networks like the student that label the transfer set together with the teacher."""

import numpy as np
import pytest
from datasets import Dataset
from project import ROOT

from stillhouse.data.vocabulary import learn_vocabulary
from stillhouse.distillation import second
from stillhouse.distillation.second import add_second_teachers
from stillhouse.models.students.student import build_student
from stillhouse.params import Vocabulary, load_params

TEXTS = ["rain and wind", "goal and match", "salt and oil", "wind", "oil and salt"]
NETWORK = load_params(ROOT / "params.yaml").student.network.model_copy(
    update={"embedding": 16, "width": 16, "depth": 2, "max_length": 32}
)


@pytest.fixture
def students():
    tokenizer = learn_vocabulary(TEXTS * 4, Vocabulary(pieces=120, min_frequency=1, lowercase=True))
    return [build_student(tokenizer, ["a", "b", "c"], NETWORK) for _ in range(2)]


def softmax(logits):
    powers = np.exp(logits - logits.max(1, keepdims=True))
    return powers / powers.sum(1, keepdims=True)


def test_the_soft_labels_are_the_normalised_geometric_mean(students, monkeypatch):
    answers = iter(np.random.default_rng(0).normal(size=(2, 5, 3)).astype(np.float32))
    given = [next(answers) for _ in students]
    replies = iter(given)
    monkeypatch.setattr(second, "student_logits", lambda *_: next(replies))
    teacher = np.random.default_rng(1).normal(size=(5, 3)).astype(np.float32)
    joined = teacher.copy()
    same = add_second_teachers(joined, students, 0.5, [Dataset.from_dict({"text": TEXTS})])
    mean = softmax(teacher) ** 0.5 * softmax(given[0]) ** 0.25 * softmax(given[1]) ** 0.25
    np.testing.assert_allclose(softmax(joined), mean / mean.sum(1, keepdims=True), rtol=1e-5)
    assert same == np.mean(teacher.argmax(1) == (given[0] + given[1]).argmax(1))


def test_texts_in_parts_get_the_answers_of_the_whole(students, monkeypatch):
    whole, parts = (np.zeros((5, 3), np.float32) for _ in range(2))
    add_second_teachers(whole, students, 0.5, [Dataset.from_dict({"text": TEXTS})])
    monkeypatch.setattr(second, "CHUNK", 2)
    add_second_teachers(
        parts, students, 0.5, [Dataset.from_dict({"text": TEXTS[:3]}), Dataset.from_dict({"text": TEXTS[3:]})]
    )
    np.testing.assert_allclose(whole, parts, atol=1e-6)
    assert whole.any()


def test_without_second_teachers_the_teacher_alone_answers():
    logits = np.ones((2, 3), np.float32)
    assert add_second_teachers(logits, [], 0.5, [Dataset.from_dict({"text": TEXTS[:2]})]) == 1.0
    assert (logits == 1).all()
