"""The teachers that the stage ``evaluate`` compares, each as a :class:`Candidate`."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file

from stillhouse.distillation.probe import classifier_head
from stillhouse.evaluation.candidate import Candidate, folder_bytes
from stillhouse.evaluation.machine import WITHOUT
from stillhouse.models.members import Member, mean_probabilities
from stillhouse.models.teacher import WITHOUT_MACHINE, Teacher, load_teacher
from stillhouse.task import TASK


def teacher_candidates(
    teachers: Sequence[Member], first: Path, others: Path, batch_size: int, known: np.ndarray
) -> list[Candidate]:
    """The teacher in PyTorch on the CPU, because the students run on the CPU.

    With several teachers, ``teacher`` is the weighted mean of their probabilities, and each of them follows alone.

    Args:
        teachers: the members.
        first, others: the folders of :meth:`Member.folder`.
        batch_size: texts at once.
        known: probabilities of ``teacher`` for the test texts.
    """
    alone = [
        teacher_candidate(one.folder(first, others) / "model", one.max_length, batch_size, one.name) for one in teachers
    ]
    if len(alone) == 1:
        return [replace(alone[0], known=known)]
    weights = [one.weight for one in teachers]

    def predict(texts: Sequence[str]) -> np.ndarray:
        return mean_probabilities([candidate.predict(texts) for candidate in alone], weights)

    return [Candidate("teacher", predict, sum(candidate.bytes for candidate in alone), known), *alone]


def teacher_candidate(folder: Path, max_length: int, batch_size: int, name: str = "teacher") -> Candidate:
    """One trained teacher in PyTorch on the CPU."""
    return _teacher(load_teacher(folder, max_length, torch.device("cpu")), folder, batch_size, name)


def without_machine_candidate(folder: Path, max_length: int, batch_size: int) -> Candidate | None:
    """The teacher whose head did not learn from a machine's labels; None if there is no such head."""
    if not (folder / WITHOUT_MACHINE).exists():
        return None
    teacher = load_teacher(folder, max_length, torch.device("cpu"))
    head = classifier_head(teacher.model, teacher.model.config.num_labels)
    assert head is not None
    head.load_state_dict(load_file(str(folder / WITHOUT_MACHINE)))
    return _teacher(teacher, folder, batch_size, WITHOUT)


def _teacher(teacher: Teacher, folder: Path, batch_size: int, name: str) -> Candidate:
    def predict(texts: Sequence[str]) -> np.ndarray:
        return TASK.probabilities(teacher.logits(texts, batch_size))

    return Candidate(name, predict, folder_bytes(folder))
