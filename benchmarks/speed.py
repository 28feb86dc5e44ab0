"""``python -m benchmarks.speed [outputs]``: how fast and how small, on this machine, in one run.

Works on the ``outputs`` folder of a finished pipeline. All models see the same test texts in turns, text in and
label out; then the compressed student is started cold, and given 1, 10 and 100 times the texts.
``benchmarks/SPEED.md`` keeps what was measured.
"""

import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from onnxruntime.quantization import QuantType, quantize_dynamic
from transformers.modeling_outputs import SequenceClassifierOutput

from benchmarks.peers import model2vec_pipeline
from stillhouse.classifier import Classifier
from stillhouse.compression.export import OPSET, export_onnx
from stillhouse.data.splits import labels_of, read_split
from stillhouse.evaluation.candidate import Candidate
from stillhouse.evaluation.candidates import (
    compressed_candidate,
    svm_candidate,
    teacher_candidate,
)
from stillhouse.evaluation.report import as_markdown, machine
from stillhouse.evaluation.speed import measure_speed
from stillhouse.models.students.student import load_student
from stillhouse.models.teacher import Teacher, load_teacher
from stillhouse.params import load_params

REPEATS = (1, 10, 100)
COLD = """
import time; start = time.perf_counter()
from stillhouse.classifier import Classifier
Classifier.load({model!r}).predict(["The striker scored twice."])
print(time.perf_counter() - start)
"""


class Int8:
    """A teacher's network as its users would serve it, ONNX in dynamic int8, called as the PyTorch one is."""

    def __init__(self, teacher: Teacher, scratch: Path) -> None:
        example = teacher.tokenizer(["one", "one two"], padding=True, return_tensors="pt")
        names = list(example)
        axes = {name: {0: "batch", 1: "length"} for name in names}
        plain, file = scratch / "teacher.onnx", scratch / "teacher-int8.onnx"
        torch.onnx.export(
            _Logits(teacher.model, names).eval(),
            tuple(example[name] for name in names),
            str(plain),
            input_names=names,
            output_names=["logits"],
            dynamic_axes=axes | {"logits": {0: "batch"}},
            opset_version=OPSET,
            dynamo=False,
        )
        quantize_dynamic(plain, file, weight_type=QuantType.QInt8)
        self.bytes = file.stat().st_size
        self.session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
        self.config, self.device = teacher.model.config, torch.device("cpu")

    def eval(self) -> None:
        """It always is."""

    def __call__(self, output_hidden_states: bool = False, **batch: torch.Tensor) -> SequenceClassifierOutput:
        """Logits of a padded batch."""
        logits = self.session.run(None, {name: tensor.numpy() for name, tensor in batch.items()})[0]
        return SequenceClassifierOutput(logits=torch.from_numpy(logits))


class _Logits(torch.nn.Module):
    def __init__(self, model: torch.nn.Module, names: list[str]) -> None:
        super().__init__()
        self.model, self.names = model, names

    def forward(self, *tensors: torch.Tensor) -> torch.Tensor:
        return self.model(**dict(zip(self.names, tensors, strict=True))).logits


def models(outputs: Path, scratch: Path) -> list[Candidate]:
    """Everything that is timed, the registered model as ``compressed student``."""
    params = load_params()
    batch, length = params.evaluate.batch_size, params.teacher.max_length
    train = read_split(outputs / "prepare" / "train.arrow")
    folder, compressed = outputs / "teacher" / "model", outputs / "compress" / "model"
    teacher = load_teacher(folder, length, torch.device("cpu"))
    int8 = Int8(teacher, scratch)
    served = Teacher(int8, teacher.tokenizer, length)
    plain = scratch / "student"
    plain.mkdir()
    for name in ("tokenizer.json", "config.json"):
        (plain / name).write_bytes((compressed / name).read_bytes())
    export_onnx(load_student(outputs / "student" / "model"), plain / "model.onnx")
    floats = compressed_candidate(plain)
    peer, peer_bytes = model2vec_pipeline(outputs, params.seed)
    classifier = Classifier.load(compressed)

    def tokenize(texts: Sequence[str]) -> np.ndarray:
        classifier.tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)
        return np.zeros(len(texts), np.int64)

    return [
        teacher_candidate(folder, length, batch),
        Candidate("teacher, ONNX int8", lambda texts: served.logits(texts, batch), int8.bytes),
        Candidate("student, ONNX float32", floats.predict, floats.bytes),
        compressed_candidate(compressed),
        svm_candidate(list(train["text"]), labels_of(train), params.seed),
        Candidate("Model2Vec classifier", lambda texts: np.zeros(len(peer.predict(list(texts)))), peer_bytes),
        Candidate("tokenizing alone", tokenize, 0),
    ]


def scale(model: Path, texts: Sequence[str], scratch: Path) -> list[list[str]]:
    """Seconds and peak memory of ``stillhouse.predict`` over 1, 10 and 100 times the texts, as table rows."""
    rows = [["texts", "seconds", "texts/s", "peak memory MB"]]
    block = "".join(" ".join(text.split()) + "\n" for text in texts)
    for times in REPEATS:
        file = scratch / "lines.txt"
        with file.open("w", encoding="utf-8") as lines:
            for _ in range(times):
                lines.write(block)
        seconds, memory, _ = _child([sys.executable, "-m", "stillhouse.predict", str(model), str(file)], scratch)
        count = times * len(texts)
        rows.append([f"{count:,}", f"{seconds:.2f}", f"{count / seconds:,.0f}", f"{memory:,.0f}"])
    return rows


def cold_start(model: Path, scratch: Path) -> list[list[str]]:
    """Import to first answer, and the whole process with its peak memory; the best of five, as table rows."""
    command = [sys.executable, "-c", COLD.format(model=str(model))]
    runs = [_child(command, scratch) for _ in range(5)]
    inner, whole, memory = min(float(out) for *_, out in runs), min(run[0] for run in runs), min(run[1] for run in runs)
    return [
        ["import to first answer s", "whole process s", "peak memory MB"],
        [f"{inner:.2f}", f"{whole:.2f}", f"{memory:.0f}"],
    ]


def _child(command: list[str], scratch: Path) -> tuple[float, float, str]:
    """Seconds, peak resident megabytes (Linux' VmHWM, read until the end) and output of a process."""
    peak, output = 0.0, scratch / "output"
    start = time.perf_counter()
    with output.open("w") as out, subprocess.Popen(command, stdout=out, stderr=subprocess.DEVNULL) as process:
        while process.poll() is None:
            with suppress(OSError):
                status = Path(f"/proc/{process.pid}/status").read_text()
                found = re.search(r"VmHWM:\s+(\d+) kB", status)
                peak = max(peak, int(found[1]) / 1024 if found else 0.0)
            time.sleep(0.005)
        seconds = time.perf_counter() - start
    if process.returncode:
        raise RuntimeError(f"{' '.join(command[:4])} ended with status {process.returncode}")
    return seconds, peak, output.read_text() if output.stat().st_size < 1000 else ""


def main() -> None:
    """Measure and print."""
    outputs = Path(sys.argv[1] if len(sys.argv) > 1 else "outputs")
    texts = list(read_split(outputs / "prepare" / "test.arrow")["text"])
    model = outputs / "compress" / "model"
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        timed = models(outputs, scratch)
        _, speed = measure_speed(timed, texts)
        own = speed["compressed student"].docs_per_s
        rows = [["model", "size MB", "docs/s", "p50 ms", "p95 ms", "compressed student is"]]
        for candidate in timed:
            numbers = speed[candidate.name]
            rows.append(
                [
                    candidate.name,
                    f"{candidate.bytes / 1e6:.2f}" if candidate.bytes else "",
                    f"{numbers.docs_per_s:,.0f}",
                    f"{numbers.latency_ms:.2f}",
                    f"{numbers.latency_p95_ms:.2f}",
                    f"{own / numbers.docs_per_s:.2f} x as fast",
                ]
            )
        parts = [
            machine(),
            as_markdown(rows),
            as_markdown(cold_start(model, scratch)),
            as_markdown(scale(model, texts, scratch)),
        ]
    head = "# Speed\n\nWritten by `make speed` (`python -m benchmarks.speed`); do not edit."
    told = "\n\n".join([head, f"{len(texts)} test texts; {parts[0]}", *parts[1:]])
    print(told)
    Path("benchmarks/SPEED.md").write_text(told + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
