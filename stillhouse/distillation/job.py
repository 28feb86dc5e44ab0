"""The training of one teacher of the stage ``teacher``: its identity, its result, and predictions for unseen texts."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from safetensors.torch import save_file
from sklearn.model_selection import KFold

from stillhouse.data.splits import MIN_TEXTS, label_names, labels_of
from stillhouse.distillation.finetune import finetune
from stillhouse.distillation.hints import Hints
from stillhouse.distillation.log import Log, NoLog
from stillhouse.distillation.material import material_of
from stillhouse.distillation.probe import FOLDS
from stillhouse.distillation.reading import choose_length
from stillhouse.distillation.scratch import identity, scratch_folder
from stillhouse.distillation.teaching import BATCH, train_teacher
from stillhouse.distillation.vectors import Vectors
from stillhouse.files import write_csv
from stillhouse.labelling.answers import MachineLabels
from stillhouse.models.pretrained import load_pretrained
from stillhouse.models.teacher import WITHOUT_MACHINE, Teacher, load_teacher, teacher_md5
from stillhouse.models.unchanged import load_finished
from stillhouse.params import OneTeacher
from stillhouse.task import TASK

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Texts:
    """What a teacher learns from.

    Attributes:
        train: has the columns ``text`` and ``label``.
        validation: has the same columns. It may be empty.
        unlabelled: has the column ``text``.
        hints: of the simple model, for ``regularise``.
        machine: labels of a machine for some of the texts without a label.
        machine_weight: of these labels for a probe, or ``auto``.
        descriptions: of the classes, by name; a class without one is described by its name.
        files: the files of all of this, for the identity of a training.
    """

    train: Dataset
    validation: Dataset
    unlabelled: Dataset
    hints: Hints
    machine: MachineLabels
    machine_weight: float | str
    descriptions: dict[str, str]
    files: Mapping[str, Path]


@dataclass(frozen=True)
class TeacherJob:
    """One teacher to train.

    Attributes:
        name: of the folders of its checkpoints.
        settings: of this teacher.
        texts: what it learns from.
        device: the device for the training.
        seed: of everything random.
        log: gets the metrics of each step.
        processes: number of processes that fine-tune together.
    """

    name: str
    settings: OneTeacher
    texts: Texts
    device: torch.device
    seed: int
    log: Log
    processes: int = 1

    def load(self) -> Teacher:
        """Load the checkpoint; a new head has random weights."""
        torch.manual_seed(self.seed)
        names = label_names(self.texts.train)
        if self.settings.finetune == "never":
            return load_finished(self.settings, names, self.texts.descriptions)
        return load_pretrained(self.settings, names)

    def with_length(self) -> "TeacherJob":
        """Return the job with a number as ``max_length`` (:func:`~stillhouse.distillation.reading.choose_length`)."""
        train, teacher = self.texts.train, self.load()
        teacher.model.to(self.device)
        length = choose_length(teacher, list(train["text"]), labels_of(train), self.seed)
        return replace(self, settings=self.settings.model_copy(update={"max_length": length}))

    def identity(self, pretrained: Teacher) -> dict[str, Any]:
        """Return everything that decides the result, by content."""
        inputs: dict[str, Path | str | None] = {**self.texts.files, "pretrained": teacher_md5(pretrained)}
        settings = {**self.settings.model_dump(), "model": "", "descriptions": self.texts.descriptions}
        settings["machine_weight"] = self.texts.machine_weight
        return identity(settings, self.seed, self.device.type, inputs)

    def train(self, folder: Path) -> dict[str, float]:
        """Train the teacher. Writes ``model/``, ``vectors/`` and ``training.csv``.

        Returns:
            The number of parameters, and the metrics of the checkpoint that is best on validation.
        """
        texts = self.texts
        trained = train_teacher(
            self.load,
            texts.train,
            texts.validation,
            texts.unlabelled,
            texts.machine,
            texts.machine_weight,
            self.settings,
            texts.hints,
            device=self.device,
            seed=self.seed,
            scratch=lambda pretrained: scratch_folder(self.name, self.identity(pretrained)),
            log=self.log,
            processes=self.processes,
        )
        trained.teacher.save(folder / "model")
        if trained.without_machine:
            save_file(trained.without_machine, str(folder / "model" / WITHOUT_MACHINE))
        trained.vectors.save(folder / "vectors")
        write_csv(folder / "training.csv", trained.history)
        best = max(trained.history, key=lambda row: row.get("validation_accuracy", 0.0))
        return {"parameters": sum(p.numel() for p in trained.teacher.model.parameters()), **best}

    def judged(self) -> Dataset:
        """Return the labelled texts for :meth:`unseen`: those of validation if there are 100, else of training."""
        return self.texts.validation if len(self.texts.validation) >= MIN_TEXTS else self.texts.train

    def unseen(self, folder: Path) -> np.ndarray:
        """Return probabilities ``(texts, classes)`` for :meth:`judged`, by teachers that were not trained on the text.

        On training texts the predictions are cross-validated: a probe is fitted, and a fine-tuned teacher trained,
        without each fourth of the texts in turn. A finished classifier was trained on none of them.

        Args:
            folder: the result of :meth:`train`.
        """
        vectors = Vectors.load(folder / "vectors")
        if self.judged() is self.texts.validation or self.settings.finetune == "never":
            teacher = load_teacher(folder / "model", self.settings.tokens, self.device)
            return TASK.probabilities(teacher.logits(list(self.judged()["text"]), BATCH))
        if len(vectors.inputs):
            return self._probed(vectors)
        return self._finetuned()

    def _probed(self, vectors: Vectors) -> np.ndarray:
        train, classes = self.texts.train, len(label_names(self.texts.train))
        texts = [*train["text"], *self.texts.unlabelled.select(vectors.unlabelled)["text"]]
        material = material_of(
            texts, np.asarray(vectors.inputs), labels_of(train), classes, self.settings.cotraining, self.seed
        )
        return material.out_of_fold()

    def _finetuned(self) -> np.ndarray:
        train, hints, result = self.texts.train, self.texts.hints, _equal(self.texts.train)
        scratch = None
        for number, (learnt, judged) in enumerate(_folds(labels_of(train), self.seed)):
            logger.info("cross-validation of %s: part %d of %d", self.name, number + 1, FOLDS)
            teacher = self.load()
            scratch = scratch or scratch_folder(f"{self.name}_parts", self.identity(teacher))
            place = scratch / str(number)
            place.mkdir(exist_ok=True)
            part = replace(hints, logits=None if hints.logits is None else hints.logits[learnt])
            finetune(
                teacher,
                train.select(learnt),
                train.select([]),
                self.settings,
                part,
                device=self.device,
                seed=self.seed,
                scratch=place,
                log=NoLog(),
                processes=self.processes,
            )
            result[judged] = TASK.probabilities(teacher.logits(list(train.select(judged)["text"]), BATCH))
        return result


def _equal(train: Dataset) -> np.ndarray:
    classes = len(label_names(train))
    return np.full((len(train), classes), 1 / classes)


def _folds(labels: np.ndarray, seed: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return the rows to learn from and the rows to judge, for each part with two classes to learn from."""
    parts = KFold(min(FOLDS, len(labels)), shuffle=True, random_state=seed).split(labels)
    return [(learnt, judged) for learnt, judged in parts if len(np.unique(labels[learnt])) > 1]
