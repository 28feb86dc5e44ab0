"""``python -m benchmarks.scale_steps STEP TEXTS``: one step of ``benchmarks.scale``, run in the copy of the project.

A step is the function of a stage, or that of ``stillhouse score``. The teacher's network is replaced by random numbers,
and so are the models that ``evaluate`` compares: their cost for each text is known and does not change with the data.
"""

import logging
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import numpy as np

from benchmarks.scale_texts import CLASSES, stub_logits, write_corpus
from stillhouse.distillation.log import NoLog
from stillhouse.files import write_json
from stillhouse.params import load_params
from stillhouse.pipeline.context import Context
from stillhouse.pipeline.links import link_inputs
from stillhouse.pipeline.stage import Metrics, _params_of
from stillhouse.pipeline.stages import STAGES

CORPUS = Path("corpus")
FEATURES = 384  # size of the stub's last layer, as of the packaged teacher
TEST_SET = {"test": CORPUS / "test.arrow", "soft_labels/test.npy": CORPUS / "test.npy"}


class NoRun(NoLog):
    """A run that records nothing."""

    def dataset(self, path: Path, name: str) -> None:
        """Do nothing."""

    def artifact(self, path: Path) -> None:
        """Do nothing."""


@dataclass(frozen=True)
class WithTestSet(Context):
    """A context whose test set is the whole corpus."""

    def path(self, name: str) -> Path:
        """See :meth:`Context.path`."""
        return TEST_SET.get(name) or super().path(name)


def run(name: str, function: Callable[[Context], Metrics], kind: type[Context] = Context) -> None:
    """Run the function of a stage, as ``stillhouse.pipeline.stage.run`` does, without MLflow."""
    params, stage = load_params(), STAGES[name]
    link_inputs(params)
    shutil.rmtree(stage.folder, ignore_errors=True)
    stage.folder.mkdir(parents=True)

    def of_size(size: str) -> Any:
        return _params_of(stage, params.for_size(size))

    metrics = function(kind(_params_of(stage, params), "cpu", stage.folder, NoRun(), stage, of_size))
    write_json(stage.folder / "metrics.json", metrics)


def corpus(texts: int) -> None:
    """Write the texts."""
    write_corpus(texts, CORPUS)


def prepare(texts: int) -> None:
    """Run the stage ``prepare``."""
    from tasks.prepare import prepare as function

    run("prepare", function)


def control(texts: int) -> None:
    """Run the stages ``label`` (empty) and ``control``, which learns the vocabulary from all texts."""
    from tasks.control import control as function
    from tasks.label import label

    run("label", label)
    run("control", function)


def soft_labels(texts: int) -> None:
    """Run the stage ``soft_labels`` with a stub for the teacher."""
    import torch

    from stillhouse.distillation.vectors import no_vectors
    from stillhouse.models.members import members, write_members
    from stillhouse.models.teacher import Teacher
    from tasks import soft_labels as module

    folder, chance = STAGES["teacher"].folder, np.random.default_rng(1)
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "others").mkdir(parents=True)
    (folder / "model").mkdir()
    write_json(folder / "metrics.json", {})
    write_members(members(["stub"], [128], [1.0]), folder / "others")
    no_vectors().save(folder / "vectors")

    class Stub(torch.nn.Module):
        """Random features; the logits are those of ``stub_logits``, whatever its linear layer computes."""

        device = torch.device("cpu")
        config = SimpleNamespace(num_labels=len(CLASSES), hidden_size=FEATURES)

        def __init__(self) -> None:
            super().__init__()
            self.head = torch.nn.Linear(FEATURES, len(CLASSES))

        def forward(self, input_ids: torch.Tensor, output_hidden_states: bool) -> Any:
            self.head(torch.rand(len(input_ids), FEATURES))
            return SimpleNamespace(logits=input_ids)

    class StubTeacher(Teacher):
        """Its "tokens" of a text are the logits."""

        def tokens(self, texts: Sequence[str], **options: Any) -> dict[str, list[list[Any]]]:
            return {"input_ids": list(stub_logits(list(texts), chance))}

        def _padded(self, tokens: dict[str, list[list[int]]], rows: np.ndarray) -> dict[str, torch.Tensor]:
            return {"input_ids": torch.from_numpy(np.stack([tokens["input_ids"][row] for row in rows]))}

    teacher: Any = StubTeacher(Stub(), None, 128)  # type: ignore[arg-type]
    teacher.tokenizer = SimpleNamespace(mask_token="[MASK]", is_fast=True)
    with (
        patch.object(module, "load_teacher", lambda *_: teacher),
        patch.object(module, "output_vectors", lambda _, pieces: torch.zeros(len(pieces), 1)),
    ):
        run("soft_labels", module.soft_labels)


def student(texts: int) -> None:
    """Run the stage ``student``: one epoch over all texts."""
    from tasks.student import student as function

    run("student", function)


def compress(texts: int) -> None:
    """Run the stage ``compress``."""
    from tasks.compress import compress as function

    run("compress", function)


def evaluate(texts: int) -> None:
    """Run the stage ``evaluate`` with random predictions. All texts are test texts."""
    from stillhouse.evaluation.candidate import Candidate
    from stillhouse.task import TASK
    from tasks import evaluate as module

    def stub(name: str, seed: int, **known: Any) -> Candidate:
        chance = np.random.default_rng(seed)
        return Candidate(name, lambda some: TASK.probabilities(stub_logits(list(some), chance)), 1_000_000, **known)

    def decide(some: Sequence[str]) -> np.ndarray:
        return TASK.decision(stub_logits(list(some), np.random.default_rng(5)))

    stubs = {
        "student_candidate": lambda name, *_: stub(name, 2 if name == "control" else 3),
        "compressed_candidate": lambda _: stub("compressed student", 4),
        "svm_candidate": lambda *_: Candidate("TF-IDF + SVM", decide, 1_000_000),
    }
    teachers = {
        "teacher_candidates": lambda *arguments: [stub("teacher", 1, known=arguments[4])],
        "without_machine_candidate": lambda *_: None,
    }
    with patch.multiple(module.candidates, **stubs), patch.multiple(module.teachers, **teachers):
        run("evaluate", module.evaluate, WithTestSet)


def score(texts: int) -> None:
    """Run ``stillhouse score`` with the compressed student, without the registry and Prefect's server."""
    from flows import score as module

    version, model = SimpleNamespace(number=1, uri="models:/scale/1"), STAGES["compress"].folder / "model"
    plain = module.label_chunk.fn
    registry = {
        "registered": lambda name, _: (name, version),
        "load_version": lambda *_: (model, module.Classifier.load(model)),
        "tag_of": lambda *_: "",
        "get_run_logger": logging.getLogger,
        "label_chunk": SimpleNamespace(with_options=lambda **_: plain),
    }
    wanted = module.Wanted({"text_column": "text"}, module.format_of("auto", "auto", "auto", "auto"), "--")
    with patch.multiple(module, **registry):
        module._score(CORPUS / "plain.csv", Path("scored.csv"), wanted, "scale", "", 50_000, None, module.NO_HANDLING)


STEPS: dict[str, Callable[[int], None]] = {
    step.__name__: step for step in (corpus, prepare, control, soft_labels, student, compress, evaluate, score)
}

if __name__ == "__main__":
    STEPS[sys.argv[1]](int(sys.argv[2]))
