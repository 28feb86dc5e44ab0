"""The models that ``make speed`` times, from text to label."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch
from onnxruntime.quantization import QuantType, quantize_dynamic
from tokenizers import Tokenizer
from transformers.modeling_outputs import SequenceClassifierOutput

from benchmarks.peers import fasttext, model2vec_pipeline
from stillhouse.compression.export import OPSET, export_onnx
from stillhouse.compression.seal import write_digests
from stillhouse.data.splits import labels_of, read_split
from stillhouse.evaluation.candidate import Candidate
from stillhouse.evaluation.candidates import compressed_candidate, svm_candidate
from stillhouse.evaluation.teachers import teacher_candidate
from stillhouse.models.members import read_members
from stillhouse.models.students.student import load_student
from stillhouse.models.teacher import Teacher, load_teacher
from stillhouse.params import load_params

TOKENIZING = "tokenizers, whole texts"


class Int8:
    """A teacher's network in ONNX with dynamic int8, as it is often served, with the interface of the PyTorch model."""

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
        """Do nothing: the network has no training mode."""

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
    """Teacher, student and peers of the finished pipeline in ``outputs``, and the student's tokenizer alone."""
    params = load_params()
    batch, [first, *_] = params.evaluate.batch_size, read_members(outputs / "teacher" / "others")
    length = first.max_length
    train = read_split(outputs / "prepare" / "train.arrow")
    folder, compressed = outputs / "teacher" / "model", outputs / "compress" / "model"
    teacher = load_teacher(folder, length, torch.device("cpu"))
    int8 = Int8(teacher, scratch)
    served = Teacher(int8, teacher.tokenizer, length)
    plain = scratch / "student"
    plain.mkdir()
    for name in ("tokenizer.json", "chunks.json", "config.json"):
        (plain / name).write_bytes((compressed / name).read_bytes())
    export_onnx(load_student(outputs / "student" / "model"), plain / "model.onnx")
    write_digests(plain)
    floats = compressed_candidate(plain)
    tokenizer = Tokenizer.from_file(str(compressed / "tokenizer.json"))

    def tokenize(texts: Sequence[str]) -> np.ndarray:
        tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)
        return np.zeros(len(texts), np.int64)

    return [
        teacher_candidate(folder, length, batch),
        Candidate("teacher, ONNX int8", lambda texts: served.logits(texts, batch), int8.bytes),
        Candidate("student, ONNX float32", floats.predict, floats.bytes),
        compressed_candidate(compressed),
        svm_candidate(list(train["text"]), labels_of(train), params.seed),
        _peer("Model2Vec classifier", model2vec_pipeline(outputs, params.seed)),
        _peer("fastText", fasttext(outputs, params.seed)),
        _peer("fastText, quantised", fasttext(outputs, params.seed, quantised=True)),
        Candidate(TOKENIZING, tokenize, 0),
    ]


def _peer(name: str, fitted: tuple[Any, int]) -> Candidate:
    predict = getattr(fitted[0], "predict", fitted[0])
    return Candidate(name, lambda texts: np.zeros(len(predict(list(texts)))), fitted[1])
