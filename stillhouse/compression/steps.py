"""Compression of a trained student in steps; each step is measured and may be refused."""

import json
import logging
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Tokenizer

from stillhouse.compression.early_exit import add_early_exit
from stillhouse.compression.formats import Format, format_of
from stillhouse.compression.parity import Reference
from stillhouse.compression.quantisations import QUANTISATIONS
from stillhouse.compression.seal import write_digests
from stillhouse.compression.temperature import choose_temperature
from stillhouse.compression.texts import CalibrationTexts, CompressionTexts
from stillhouse.data.encoded import encode_texts
from stillhouse.data.vocabulary import truncate_vocabulary
from stillhouse.errors import StillhouseError
from stillhouse.evaluation.calibration import Calibration, with_temperature
from stillhouse.models.students.student import Student
from stillhouse.params import Compress
from stillhouse.params.compress import AUTO
from stillhouse.serving.chunks import ID, Chunks
from stillhouse.serving.networks import ONNX
from stillhouse.task import TASK

logger = logging.getLogger(__name__)

CALIBRATION_BATCH = 16
SAFEST = "int8_weights"  # the quantisation that changes least, where another is refused


class CompressionSteps:
    """The measured steps.

    Attributes:
        numbers: of each step, by name; equal in every run.
        docs_per_s: texts per second of each step, by name; they depend on the machine.
        selected: the folder of the last step that was not refused.
        last: the name of that step.
        temperature: divides the logits of the result; 1 if nothing was calibrated.
        calibration: how the temperature was found; None if it was not fitted.
    """

    def __init__(self, reference: Reference, settings: Compress) -> None:
        self.numbers: dict[str, dict[str, Any]] = {}
        self.docs_per_s: dict[str, float] = {}
        self.selected, self.last = Path(), ""
        self.temperature = 1.0
        self.calibration: Calibration | None = None
        self._reference, self._settings = reference, settings

    def step(self, name: str, folder: Path, parity: bool = False) -> None:
        """Measure the result of the step ``name``, and select it unless it costs too much.

        With ``parity`` it is also refused if it agrees less often with the trained student than ``settings.parity``.
        """
        write_digests(folder)
        numbers, speed = self._reference.compare(folder)
        refusal = self._refusal(numbers, parity) if self.last else ""
        self.numbers[name], self.docs_per_s[name] = numbers | {"refused": int(bool(refusal))}, speed
        if refusal:
            logger.warning("%s refused: %s", name, refusal)
        else:
            self.selected, self.last = folder, name

    def calibrate(self, folder: Path, form: Format, texts: CalibrationTexts) -> None:
        """Copy the selected result to ``folder``, and divide its logits by the temperature.

        The temperature is ``settings.temperature``, or is fitted on ``texts``. Later results are compared with the
        trained student at the same temperature.
        """
        self.calibration = choose_temperature(self.selected, texts) if self._settings.temperature == AUTO else None
        if self._settings.temperature != AUTO:
            self.temperature = float(self._settings.temperature)
        elif self.calibration is not None and self.calibration.used:
            self.temperature = self.calibration.temperature
        if self.temperature != 1.0:
            shutil.copytree(self.selected, folder)
            form.divide(folder / form.file, self.temperature)
            trained = with_temperature(self._reference.probabilities, self.temperature)
            self._reference = replace(self._reference, probabilities=trained)
            self.step(folder.name, folder)

    def _refusal(self, numbers: dict[str, float], parity: bool) -> str:
        """Why the step is refused; empty if it is not. Without labelled texts the agreement decides."""
        if (parity or "accuracy" not in numbers) and numbers["agreement"] < self._settings.parity:
            return (
                f"it agrees with the trained student on only {numbers['agreement']:.1%} of "
                f"{len(self._reference.probabilities)} texts; compress.parity requires {self._settings.parity:.1%}"
            )
        if "accuracy" not in numbers:
            return ""
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
    texts: CompressionTexts,
    reference: Reference,
    scratch: Path,
    out: Path,
) -> CompressionSteps:
    """Write the network, ``tokenizer.json``, ``chunks.json`` and ``config.json`` into ``out``.

    The network is ``model.onnx``, or ``tables.npz`` for a student without an encoder, or both with an early exit.

    A step is refused if its accuracy on the reference's labelled texts is more than ``settings.tolerance`` below that
    of the trained student. Without labelled texts it is refused if its agreement with the trained student is below
    ``settings.parity``, and so is a quantisation in any case. In its place ``int8_weights`` follows. The numbers of a
    refused step are recorded, and the next step starts from the result before it.

    Args:
        student: the trained student.
        settings: the steps and their limits.
        texts: to calibrate on and to learn an early exit from, and the frequent chunks.
        reference: the trained student's probabilities for the texts to compare on.
        scratch: an empty folder for the results of the steps.
        out: the folder to create.

    Returns:
        The measured steps.

    Raises:
        StillhouseError: the agreement of the result with the trained student is below ``settings.parity``.
    """
    length, steps = student.settings.reads, CompressionSteps(reference, settings)
    contents = {"task": TASK.name, "labels": student.label_names, "max_length": length}
    config = json.dumps(contents, indent=2) + "\n"

    def new_folder(name: str, tokenizer: Tokenizer) -> Path:
        folder = scratch / name
        folder.mkdir()
        tokenizer.no_truncation()
        tokenizer.save(str(folder / "tokenizer.json"), pretty=False)
        ids = zip(texts.common, Chunks(tokenizer, length).ids(texts.common), strict=True)
        known = json.dumps({chunk: np.frombuffer(row, ID).tolist() for chunk, row in ids}, separators=(",", ":"))
        (folder / "chunks.json").write_text(known, encoding="utf-8")
        (folder / "config.json").write_text(config, encoding="utf-8")
        return folder

    tokenizer, network, form = student.tokenizer, student.network, format_of(student.network)
    folder = new_folder("float32", tokenizer)
    form.export(student, folder / form.file)
    steps.step("float32", folder)
    if network.piece_tables and settings.vocabulary is not None and settings.vocabulary < tokenizer.get_vocab_size():
        # A word whose piece is removed is split into shorter pieces. The student was trained with these, too.
        smaller = truncate_vocabulary(tokenizer, settings.vocabulary)
        folder = new_folder(f"{settings.vocabulary} word pieces", smaller)
        form.prune(steps.selected / form.file, folder / form.file, smaller.get_vocab_size(), network)
        steps.step(folder.name, folder)
    if settings.quantisation != "none":
        source = steps.selected / form.file
        tokenizer = Tokenizer.from_file(str(steps.selected / "tokenizer.json"))
        chosen = texts.train.select(range(min(settings.calibration_texts, len(texts.train))))
        encoded = encode_texts([chosen], tokenizer, length, scratch / "calibration ids")
        starts = range(0, len(chosen), CALIBRATION_BATCH)
        rows = [np.arange(start, min(start + CALIBRATION_BATCH, len(chosen))) for start in starts]
        batches = [encoded.padded(batch) for batch in rows]
        fallback = [SAFEST] if form.file == ONNX and settings.quantisation in QUANTISATIONS else []
        for kind in dict.fromkeys([settings.quantisation, *fallback]):
            folder = new_folder(kind, tokenizer)
            form.quantise(kind, source, folder / form.file, batches, network)
            steps.step(kind, folder, parity=True)
            if steps.last == kind:
                break
    steps.calibrate(scratch / "temperature", form, texts.calibration)
    if settings.early_exit is not None and form.file == ONNX and network.piece_tables:
        folder = shutil.copytree(steps.selected, scratch / "early exit")
        least = add_early_exit(student, folder, texts.exits, settings.early_exit, settings.quantisation)
        if least is not None:
            (folder / "config.json").write_text(json.dumps(contents | {"early_exit": least}, indent=2) + "\n", "utf-8")
            steps.step(folder.name, folder)
    agreement, difference = (steps.numbers[steps.last][key] for key in ("agreement", "largest_difference"))
    if agreement < settings.parity:
        raise StillhouseError(
            f"The compressed student ({steps.last}) agrees with the trained one on only {agreement:.1%} of "
            f"{len(reference.probabilities)} texts; compress.parity requires {settings.parity:.1%} (largest difference "
            f"of a probability: {difference:.3f}). Compress it less (compress.vocabulary, compress.quantisation), or "
            "lower compress.parity."
        )
    shutil.copytree(steps.selected, out)
    return steps
