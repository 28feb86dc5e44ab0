"""Training of the student: texts per second, and the network's share of the time."""

import time
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from datasets import Dataset
from tokenizers import Tokenizer

from benchmarks.gpu.job import SMALL, Job, Stamps
from benchmarks.gpu.material import ANSWERS, SEED, packaged, peak_gib, splits, start_memory, student_vocabulary
from stillhouse.data.encoded import batches, encode_texts
from stillhouse.data.splits import label_names, labels_of
from stillhouse.distillation.check import Check
from stillhouse.distillation.examples import Examples
from stillhouse.distillation.objective import Batch, Distillation, distillation
from stillhouse.distillation.resident import on_device
from stillhouse.distillation.trainer import TrainingLoop, train_student
from stillhouse.distillation.trust import ALPHA_NOT_SHOWN
from stillhouse.models.batching import synchronise
from stillhouse.models.students.student import Student, build_student, save_student

STUDENT = "student"  # folder of the trained student, in the run's folder


@dataclass(frozen=True)
class PreparedBatches(Examples):
    """Examples whose batches were prepared before the training."""

    ready: dict[bytes, Batch] = field(default_factory=dict)

    def batch(self, rows: np.ndarray, device: torch.device, needs: frozenset[str] = frozenset()) -> Batch:
        """The prepared batch of these rows."""
        return self.ready[rows.tobytes()]


@dataclass(frozen=True)
class Material:
    """A student, its objective, its training texts and its validation texts."""

    job: Job
    train: Examples
    validation: Examples
    student: Student
    objective: Distillation

    def again(self) -> "Material":
        """The same texts with a new, untrained student."""
        made, objective = _untrained(self.job, self.student.tokenizer, self.student.label_names, self.train)
        return replace(self, student=made, objective=objective)


def student(job: Job) -> None:
    """Time epochs with prepared batches and with batches from the CPU's and the device's memory; then a training."""
    material = prepared(job, job.work)
    count = len(material.train.labels)
    weights = sum(parameter.numel() for parameter in material.student.network.parameters())
    answers = "the packaged teacher's answers" if (job.work / ANSWERS / "logits.npy").is_file() else "random answers"
    job.note(
        f"The student of params.yaml ({weights / 1e6:.1f} M weights, random at first), {count} texts with {answers}. "
        "The network's share is the time of the same epochs with batches that were made before, divided by the time "
        "with batches that are made in training."
    )
    for size in job.sizes.student_batches:
        job.check()
        rates = {}
        start_memory(job.device)
        for name in ("batches made before", "from the CPU's memory", "from the device's memory"):
            rates[name] = _rate(job, material.again(), name, size)
        row: dict[str, object] = {"batch": size}
        for name, rate in rates.items():
            row[f"{name}, texts/s"] = rate
            if name != "batches made before":
                row[f"network's share {name}"] = f"{min(rate / rates['batches made before'], 1):.1%}"
        job.row(**row, **{"memory GiB": peak_gib(job.device)})
    start = time.perf_counter()
    history = trained(job, material, job.work / "student-scratch", Stamps(job))
    seconds = time.perf_counter() - start
    save_student(material.student, job.work / STUDENT)
    job.row(
        epochs=len(history),
        **{
            "whole training, s": seconds,
            "texts/s": len(history) * count / seconds,
            "last loss": history[-1]["loss"],
            "accuracy": f"{history[-1]['validation_accuracy']:.2%}",
        },
    )


def prepared(job: Job, folder: Path) -> Material:
    """Texts, soft labels (random ones if none are stored) and a new student."""
    train, validation = splits(job, job.sizes.student_texts)
    settings = job.params.student
    tokenizer = student_vocabulary(job, train)
    ids = folder / f"{job.part}-ids"
    logits, features = _answers(job, train)
    examples = Examples(
        encode_texts([train], tokenizer, settings.network.reads, ids / "train"),
        labels_of(train),
        logits,
        features,
        signal_rows=np.arange(len(train)),
    )
    held = Examples(
        encode_texts([validation], tokenizer, settings.network.reads, ids / "validation"), labels_of(validation)
    )
    return Material(job, examples, held, *_untrained(job, tokenizer, label_names(train), examples))


def _untrained(job: Job, tokenizer: Tokenizer, names: list[str], train: Examples) -> tuple[Student, Distillation]:
    torch.manual_seed(SEED)
    made = build_student(tokenizer, names, job.params.student.network)
    made.network.initialise_wide(train.encoded)
    assert train.features is not None
    return made, distillation(job.params.student, ALPHA_NOT_SHOWN, made.network, train.features.shape[1])


def trained(job: Job, material: Material, scratch: Path, log: Stamps) -> list[dict[str, float]]:
    """Run a whole training with the pipeline's own function; returns its history."""
    scratch.mkdir(parents=True, exist_ok=True)
    settings = job.params.student.training
    if job.sizes is SMALL:
        settings = settings.model_copy(update={"epochs": 4, "min_updates": 0})
    return train_student(
        material.student.network,
        material.train,
        Check("validation_accuracy", material.validation),
        material.objective,
        settings,
        device=job.device,
        seed=SEED,
        scratch=scratch,
        log=log,
    )


def _answers(job: Job, train: Dataset) -> tuple[np.ndarray, np.ndarray]:
    folder = job.work / ANSWERS
    if (folder / "logits.npy").is_file() and len(np.load(folder / "logits.npy", mmap_mode="r")) == len(train):
        return np.load(folder / "logits.npy"), np.load(folder / "features.npy")
    random = np.random.default_rng(SEED)
    size = packaged(job, label_names(train))[0].model.config.hidden_size
    logits = random.normal(size=(len(train), len(label_names(train)))).astype(np.float32)
    return logits, random.normal(size=(len(train), size)).astype(np.float16)


def _rate(job: Job, material: Material, name: str, size: int) -> float:
    """Texts per second of some epochs, after one epoch that is not timed."""
    settings = job.params.student.training.model_copy(update={"batch_size": size})
    epochs, device, needs = job.sizes.student_epochs + 1, job.device, material.objective.needs
    lengths = material.train.encoded.lengths
    orders = [list(batches(lengths, size, SEED + epoch)) for epoch in range(epochs)]
    torch.manual_seed(SEED)
    loop = TrainingLoop(material.student.network, material.objective, settings, epochs * len(orders[0]), device)
    examples: Examples = material.train
    if name == "from the device's memory":
        examples = on_device(material.train, device, needs)
    elif name == "batches made before":
        source = on_device(material.train, device, needs)
        ready = {rows.tobytes(): source.batch(rows, device, needs) for order in orders for rows in order}
        examples = PreparedBatches(material.train.encoded, material.train.labels, ready=ready)
    loop.run_epoch(examples, orders[0], 0)
    synchronise(device)
    start = time.perf_counter()
    for epoch in range(1, epochs):
        loop.run_epoch(examples, batches(lengths, size, SEED + epoch), epoch * len(orders[0]))
        job.check()
    synchronise(device)
    return job.sizes.student_epochs * len(material.train.labels) / (time.perf_counter() - start)
