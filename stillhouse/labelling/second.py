"""Who answers the texts that a student defers: the teacher, a language model, or people."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

import numpy as np

from stillhouse.data.keys import text_key
from stillhouse.data.splits import label_names, labels_of, read_split
from stillhouse.errors import BadInput, listed
from stillhouse.labelling.sheet import read_sheet
from stillhouse.models.members import mean_probabilities, read_members
from stillhouse.params import Params
from stillhouse.provenance import file_md5, folder_md5
from stillhouse.serving.answers import decide
from stillhouse.task import TASK

PEOPLE, TEACHER, LANGUAGE_MODEL = "people", "teacher", "language model"


@dataclass(frozen=True)
class Replies:
    """Answers to some texts, in their order.

    Attributes:
        labels: names of classes, objects (texts,); None for a text without an answer.
        probabilities: of these labels, float32 (texts,); NaN where it is unknown.
    """

    labels: np.ndarray
    probabilities: np.ndarray

    @classmethod
    def of(cls, probabilities: np.ndarray, classes: Sequence[str]) -> "Replies":
        """Return the most probable classes. A row of NaN in ``probabilities`` (texts, classes) is no answer."""
        answered = np.isfinite(probabilities).all(1)
        found = decide(probabilities[answered], np.array(classes, object))
        labels, sure = np.full(len(probabilities), None, object), np.full(len(probabilities), np.nan, np.float32)
        labels[answered], sure[answered] = found.labels, found.probabilities
        return cls(labels, sure)


class Second(Protocol):
    """Answers texts after the student.

    Attributes:
        name: in the column ``answered_by``.
        waits: whether a text without an answer waits for one. Otherwise the student's answer remains.
        identity: of all that its answers depend on.
    """

    name: str
    waits: bool
    identity: str

    def prepare(self, classes: Sequence[str]) -> None:
        """Load it. Raises BadInput if it does not answer with the classes of the student, ``classes``."""

    def answer(self, texts: Sequence[str]) -> Replies:
        """Return the answers to the texts."""


class People:
    """People fill in a file (:mod:`stillhouse.labelling.sheet`). Their labels may be other classes."""

    name, waits = PEOPLE, True

    def __init__(self, file: Path) -> None:
        """Read the labels that the file has already. Raises BadInput."""
        self.file, self.labels = file, read_sheet(file)
        self.identity = file_md5(file) if file.exists() else ""

    def prepare(self, classes: Sequence[str]) -> None:
        """See :class:`Second`."""

    def answer(self, texts: Sequence[str]) -> Replies:
        """See :class:`Second`."""
        labels = np.array([self.labels.get(text_key(text)) for text in texts], object)
        return Replies(labels, np.full(len(texts), np.nan, np.float32))


class TeacherModel:
    """The teacher of the last run, or the weighted mean of several.

    Attributes:
        names: of the classes, after :meth:`prepare`.
    """

    name, waits = TEACHER, False

    def __init__(self, model: Path, others: Path, train: Path, params: Params) -> None:
        """Find its files.

        Args:
            model: the folder ``teacher/model`` of the stage ``teacher``.
            others: the folder ``teacher/others`` of that stage.
            train: the training texts, which have the names of the classes.
            params: ``device``, ``teacher.bf16`` and ``evaluate.batch_size`` are used.

        Raises:
            BadInput: a file is missing.
        """
        if missing := [str(file) for file in (model, others, train) if not file.exists()]:
            raise BadInput(f"There is no teacher here: {missing[0]} is missing. Run: make run (or: dvc pull)")
        members = [one for one in read_members(others) if one.number == 1 or one.weight]
        self._members = [(one, one.folder(model.parent, others) / "model") for one in members]
        self._train, self._params = train, params
        self.identity = " ".join(f"{one.weight:g} {folder_md5(folder)}" for one, folder in self._members)

    def prepare(self, classes: Sequence[str]) -> None:
        """See :class:`Second`."""
        from stillhouse.models.device import choose_device, use_bf16  # imports PyTorch, which takes seconds
        from stillhouse.models.teacher import load_teacher

        self.names = label_names(read_split(self._train))
        if set(self.names) != set(classes):
            raise BadInput(
                f"The teacher in {self._members[0][1]} has the classes {listed(self.names)}, the student "
                f"{listed(list(classes))}. Score with the version that the last run registered, or run `make run`."
            )
        device = choose_device(self._params.device)
        loaded = [load_teacher(folder, one.max_length, device) for one, folder in self._members]
        size, bf16 = self._params.evaluate.batch_size, use_bf16(self._params.teacher.bf16, device)
        self._logits = [partial(teacher.logits, batch_size=size, bf16=bf16) for teacher in loaded]

    def answer(self, texts: Sequence[str]) -> Replies:
        """See :class:`Second`."""
        return Replies.of(self.probabilities(texts), self.names)

    def probabilities(self, texts: Sequence[str]) -> np.ndarray:
        """Return probabilities ``(texts, classes)``; the columns are in the order of :attr:`names`."""
        found = [TASK.probabilities(logits(texts)) for logits in self._logits]
        return mean_probabilities(found, [one.weight for one, _ in self._members])


class LanguageModelAnswers:
    """The language model of the section ``label``. Stored answers are used; new ones are paid for and stored."""

    name, waits = LANGUAGE_MODEL, False

    def __init__(self, params: Params, train: Path) -> None:
        """Check the settings.

        Args:
            params: ``label`` and ``data.classes`` are used. ``label.texts`` is no limit here, ``label.max_cost`` is.
            train: texts with labels, for ``label.examples``.

        Raises:
            BadInput: no language model is configured, or the examples are missing.
        """
        if not params.label.model:
            raise BadInput("label.model in params.yaml names no language model. Set label.model and label.url.")
        if params.label.examples and not train.exists():
            raise BadInput(f"label.examples is {params.label.examples}, but {train} is missing. Run: dvc repro prepare")
        self._params, self._train = params, train
        examples = file_md5(train) if params.label.examples else ""
        content = f"{params.label.model_dump_json()} {params.data.descriptions} {examples}"
        self.identity = hashlib.md5(content.encode(), usedforsecurity=False).hexdigest()

    def prepare(self, classes: Sequence[str]) -> None:
        """See :class:`Second`. The server is called once."""
        from stillhouse.labelling.labeller import LanguageModel

        settings, descriptions = self._params.label, self._params.data.descriptions
        self._classes, self._examples = list(classes), list[tuple[str, str]]()
        if settings.examples:
            train = read_split(self._train)
            names = TASK.decode(labels_of(train), label_names(train))
            self._examples = list(zip(train["text"], names, strict=True))
        self._model = LanguageModel(settings, {name: descriptions.get(name) for name in classes})

    def answer(self, texts: Sequence[str]) -> Replies:
        """See :class:`Second`."""
        return Replies.of(self._model.label(texts, self._examples), self._classes)
