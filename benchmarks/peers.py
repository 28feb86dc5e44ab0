"""Peers: alternatives to Stillhouse, on the same labels and test texts, with the settings of their documentation.

``python -m benchmarks.peers <peer> <outputs> <seed> <result>`` measures one. Each peer has its own process, because
their training changes PyTorch's global state.
"""

import json
import random
import re
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Predict = Callable[[Sequence[str]], Sequence[Any]]
SETFIT_STEPS = 250


@dataclass(frozen=True)
class Split:
    """Texts and the names of their labels."""

    texts: list[str]
    labels: list[str]

    @classmethod
    def read(cls, outputs: Path, name: str) -> "Split":
        """Read the split ``name`` from the ``outputs`` of a finished pipeline run."""
        from stillhouse.data.splits import label_names, labels_of, read_split

        split = read_split(outputs / "prepare" / f"{name}.arrow")
        names = label_names(split)
        return cls(list(split["text"]), [names[label] for label in labels_of(split)])


def model2vec_pipeline(outputs: Path, seed: int) -> tuple[Any, int]:
    """Model2Vec (Tulkens and van Dongen 2024) of the teacher's encoder, its classifier fine-tuned on the labels.

    Both use the library's defaults. ``outputs`` is the folder of a finished pipeline run.

    Returns:
        A model with the method ``predict(texts)``, and the bytes of its float32 vectors and head.
    """
    import torch
    from model2vec.distill import distill_from_model
    from model2vec.train import StaticModelForClassification

    from stillhouse.models.teacher import load_teacher

    torch.manual_seed(seed)
    train, validation = (Split.read(outputs, name) for name in ("train", "validation"))
    teacher = load_teacher(outputs / "teacher" / "model", 512, torch.device("cpu"))
    static = distill_from_model(teacher.model.base_model, teacher.tokenizer)
    classifier = StaticModelForClassification.from_static_model(model=static)
    heldout = {"X_val": validation.texts, "y_val": validation.labels} if validation.texts else {}
    classifier.fit(train.texts, train.labels, **heldout, device="cpu")
    return classifier.to_pipeline(), 4 * sum(parameter.numel() for parameter in classifier.parameters())


def model2vec(outputs: Path, seed: int) -> tuple[Predict, int]:
    """The prediction function and the size of :func:`model2vec_pipeline`."""
    pipeline, size = model2vec_pipeline(outputs, seed)
    return pipeline.predict, size


def fasttext(outputs: Path, seed: int, quantised: bool = False) -> tuple[Predict, int]:
    """fastText (Joulin et al. 2017) with its tutorial's final settings: 25 epochs, rate 1.0, word pairs, lower case.

    ``quantised``: quantise the model (``.ftz``) and retrain it, as its documentation advises.
    """
    import fasttext as library

    def plain(text: str) -> str:
        return " ".join(re.sub(r"([^\w\s])", r" \1 ", text.lower()).split())

    train = Split.read(outputs, "train")
    numbers = {label: number for number, label in enumerate(sorted(set(train.labels)))}
    names = list(numbers)
    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch) / "train.txt"
        pairs = zip(train.texts, train.labels, strict=True)
        rows = [f"__label__{numbers[label]} {plain(text)}\n" for text, label in pairs]
        random.Random(seed).shuffle(rows)  # fastText reads the rows in the same order in every epoch
        file.write_text("".join(rows), encoding="utf-8")
        model = library.train_supervised(str(file), lr=1.0, epoch=25, wordNgrams=2, seed=seed, thread=1, verbose=0)
        if quantised:
            model.quantize(str(file), retrain=True, thread=1)
        model.save_model(str(file.with_suffix(".bin")))
        size = file.with_suffix(".bin").stat().st_size

    def predict(texts: Sequence[str]) -> list[str]:
        # fastText's predict() fails with NumPy 2. The function that it calls does not.
        found = (model.f.predict(plain(text) + "\n", 1, 0.0, "strict") for text in texts)
        return [names[int(answer[0][1].removeprefix("__label__"))] if answer else "" for answer in found]

    return predict, size


def setfit(outputs: Path, seed: int) -> tuple[Predict, int]:
    """SetFit (Tunstall et al. 2022) on the packaged encoder: contrastive fine-tuning, then a linear layer.

    Defaults except for the number of steps: all pairs of a hundred texts would take hours on two cores.
    """
    from datasets import Dataset
    from setfit import SetFitModel, Trainer, TrainingArguments

    from stillhouse.data.sample import sample_teacher

    train = Split.read(outputs, "train")
    model = SetFitModel.from_pretrained(str(sample_teacher()), labels=sorted(set(train.labels)), device="cpu")
    with tempfile.TemporaryDirectory() as scratch:
        arguments = TrainingArguments(
            output_dir=scratch, max_steps=SETFIT_STEPS, seed=seed, report_to="none", save_strategy="no"
        )
        data = Dataset.from_dict({"text": train.texts, "label": train.labels})
        Trainer(model=model, args=arguments, train_dataset=data).train()
    return lambda texts: model.predict(list(texts)), 4 * sum(one.numel() for one in model.model_body.parameters())


@dataclass(frozen=True)
class Peer:
    """A peer. ``fit`` returns a function from texts to labels, and its bytes. ``slow``: it is measured once a case."""

    fit: Callable[[Path, int], tuple[Predict, int]]
    slow: bool = False

    @property
    def module_name(self) -> str:
        """The name of its files."""
        return self.fit.__name__


PEERS = {"Model2Vec classifier": Peer(model2vec), "fastText": Peer(fasttext), "SetFit": Peer(setfit, slow=True)}


def measured(name: str, outputs: Path, seed: int) -> dict[str, object]:
    """A peer's ``answers`` (predicted labels of the test texts), ``megabytes``, ``docs_per_s`` and ``fit_s``."""
    peer = PEERS[name]
    texts = Split.read(outputs, "test").texts
    start = time.perf_counter()
    predict, size = peer.fit(outputs, seed)
    fit_s = time.perf_counter() - start
    predict(texts[:8])
    seconds = []
    for _ in range(1 if peer.slow else 3):
        start = time.perf_counter()
        answers = predict(texts)
        seconds.append(time.perf_counter() - start)
    return {
        "answers": [str(answer) for answer in answers],
        "megabytes": size / 1e6,
        "docs_per_s": len(texts) / min(seconds),
        "fit_s": fit_s,
    }


if __name__ == "__main__":
    result = measured(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
    Path(sys.argv[4]).write_text(json.dumps(result), encoding="utf-8")
