"""The teacher beside the student on the page. It is loaded at the first question, in a thread."""

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flows.page.answer import timed
from stillhouse.errors import BadInput
from stillhouse.pipeline.artefacts import path, split

if TYPE_CHECKING:
    from stillhouse.labelling.second import TeacherModel


def has_teacher() -> bool:
    """Whether the current folder is a project whose teacher is trained."""
    files = (Path("params.yaml"), path("teacher/model"), path("teacher/others"), split("train"))
    return all(file.exists() for file in files)


class LazyTeacher:
    """The teacher of the last run. One thread loads it and answers, a text at a time."""

    def __init__(self, classes: Sequence[str]) -> None:
        """Load nothing yet. ``classes`` are those of the student."""
        self._classes = list(classes)
        self._thread = ThreadPoolExecutor(1, "teacher")
        self._loading: Future[TeacherModel] | None = None

    def answer(self, text: str) -> dict[str, Any] | None:
        """Return the answer to a text (:func:`~flows.page.answer.timed`); None while the teacher is loading.

        Raises:
            BadInput: the teacher cannot be used.
        """
        if self._loading is None:
            self._loading = self._thread.submit(self._load)
        if not self._loading.done():
            return None
        model = self._loading.result()
        found, _ = self._thread.submit(timed, model.probabilities, text, model.names).result()
        return found

    def _load(self) -> "TeacherModel":
        try:
            from flows.shared.deferring import teacher_model  # MLflow and PyTorch take seconds to load

            model = teacher_model("The teacher")
            model.prepare(self._classes)
            model.probabilities(["warm up"])  # the first text takes longer than the next ones
        except BadInput:
            raise
        except Exception as error:  # transformers, safetensors and the file system raise errors of different types
            raise BadInput(f"The teacher cannot be loaded: {str(error)[:500]}") from None
        return model
