"""From a trained student to the folder that is served, a step at a time, each held to what it may cost."""

import json
import logging
import shutil
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset
from tokenizers import Tokenizer

from stillhouse.compression.export import export_onnx
from stillhouse.compression.parity import Reference
from stillhouse.compression.quantisations import QUANTISATIONS
from stillhouse.compression.seal import write_digests
from stillhouse.compression.vocabulary import prune_vocabulary
from stillhouse.data.encoded import encode_texts
from stillhouse.errors import StillhouseError
from stillhouse.models.students.student import Student
from stillhouse.params import Compress
from stillhouse.serving.chunks import ID, Chunks
from stillhouse.task import TASK

logger = logging.getLogger(__name__)

CALIBRATION_BATCH = 16


class CompressionSteps:
    """The steps so far: ``numbers`` are the same on every run, ``docs_per_s`` is of this machine now."""

    def __init__(self, reference: Reference, settings: Compress) -> None:
        self.numbers: dict[str, dict[str, Any]] = {}
        self.docs_per_s: dict[str, float] = {}
        self.kept, self.last = Path(), ""
        self._reference, self._settings = reference, settings

    def step(self, name: str, folder: Path) -> None:
        """Measure the result of the step ``name``, and use it unless it costs too much."""
        write_digests(folder)
        numbers, speed = self._reference.compare(folder)
        refusal = self._refusal(numbers) if self.last else ""
        self.numbers[name], self.docs_per_s[name] = numbers | {"refused": int(bool(refusal))}, speed
        if refusal:
            logger.warning("%s refused: %s", name, refusal)
        else:
            self.kept, self.last = folder, name

    def _refusal(self, numbers: dict[str, float]) -> str:
        """Why the step costs too much; empty where it does not. Without labels it may change few answers."""
        if "accuracy" not in numbers:
            if numbers["agreement"] >= self._settings.parity:
                return ""
            return (
                f"it answers as the trained student on only {numbers['agreement']:.1%} of "
                f"{len(self._reference.probabilities)} texts; compress.parity asks for {self._settings.parity:.1%}"
            )
        lost = self.numbers["float32"]["accuracy"] - numbers["accuracy"]
        if lost <= self._settings.tolerance + 1e-9:
            return ""
        return (
            f"it costs {lost:.2%} of accuracy on {len(self._reference.labels)} validation texts; "
            f"compress.tolerance allows {self._settings.tolerance:.2%}"
        )


def compress_student(
    student: Student,
    settings: Compress,
    train: Dataset,
    common: list[str],
    reference: Reference,
    scratch: Path,
    out: Path,
) -> CompressionSteps:
    """Write ``model.onnx``, ``tokenizer.json``, ``chunks.json`` and ``config.json`` into ``out``.

    A step after which the accuracy on the reference's labelled texts is more than ``settings.tolerance`` below that
    of the trained student is refused: its numbers are recorded, and the next step works on the result before it.
    Without labelled texts a step is refused that agrees with the trained student less than ``settings.parity``.

    Args:
        student: the trained student.
        settings: which steps, and what they may cost.
        train: texts to calibrate on.
        common: the result of :func:`~stillhouse.serving.chunks.commonest`; the folder stores the ids of these chunks.
        reference: the trained student's answers to texts to compare on.
        scratch: an empty folder for what lies between the steps.
        out: the folder to make.

    Raises:
        StillhouseError: the result agrees with the trained student less than ``settings.parity``.
    """
    length, ladder = student.settings.reads, CompressionSteps(reference, settings)
    contents = {"task": TASK.name, "labels": student.label_names, "max_length": length}
    config = json.dumps(contents, indent=2) + "\n"

    def folder(name: str, tokenizer: Tokenizer) -> Path:
        made = scratch / name
        made.mkdir()
        tokenizer.no_truncation()
        tokenizer.save(str(made / "tokenizer.json"), pretty=False)
        ids = zip(common, Chunks(tokenizer, length).ids(common), strict=True)
        known = json.dumps({chunk: np.frombuffer(row, ID).tolist() for chunk, row in ids}, separators=(",", ":"))
        (made / "chunks.json").write_text(known, encoding="utf-8")
        (made / "config.json").write_text(config, encoding="utf-8")
        return made

    tokenizer = student.tokenizer
    made = folder("float32", tokenizer)
    export_onnx(student, made / "model.onnx")
    ladder.step("float32", made)
    if settings.vocabulary is not None and settings.vocabulary < tokenizer.get_vocab_size():
        pruned, tables = scratch / "pruned.onnx", student.network.piece_tables
        smaller = prune_vocabulary(made / "model.onnx", pruned, tokenizer, settings.vocabulary, tables)
        made = folder(f"{settings.vocabulary} word pieces", smaller)
        pruned.replace(made / "model.onnx")
        ladder.step(made.name, made)
    if settings.quantisation != "none":
        source = ladder.kept / "model.onnx"
        tokenizer = Tokenizer.from_file(str(ladder.kept / "tokenizer.json"))
        made = folder(settings.quantisation, tokenizer)
        chosen = train.select(range(min(settings.calibration_texts, len(train))))
        encoded = encode_texts([chosen], tokenizer, length, scratch / "calibration")
        starts = range(0, len(chosen), CALIBRATION_BATCH)
        rows = [np.arange(start, min(start + CALIBRATION_BATCH, len(chosen))) for start in starts]
        batches = [encoded.padded(batch) for batch in rows]
        QUANTISATIONS[settings.quantisation](source, made / "model.onnx", batches, student.network)
        ladder.step(made.name, made)
    same, difference = (ladder.numbers[ladder.last][key] for key in ("agreement", "largest_difference"))
    if same < settings.parity:
        raise StillhouseError(
            f"The compressed student ({ladder.last}) answers as the trained one on only {same:.1%} of "
            f"{len(reference.probabilities)} texts; compress.parity asks for {settings.parity:.1%} (largest difference "
            f"of a probability: {difference:.3f}). Compress it less (compress.vocabulary, compress.quantisation), or "
            "lower compress.parity."
        )
    shutil.copytree(ladder.kept, out)
    return ladder
