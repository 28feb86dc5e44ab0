"""What a user would pick instead, on the same split: a static Model2Vec classifier distilled from the same teacher."""

import json
import sys
import time
from pathlib import Path
from typing import Any


def model2vec_pipeline(outputs: Path, seed: int) -> tuple[Any, int]:
    """Model2Vec (Tulkens and van Dongen 2024) of the teacher's encoder, its classifier fine-tuned on the labels.

    Both with the library's defaults. ``outputs`` is the folder of a finished pipeline run.

    Returns:
        What has ``predict(texts)``, and the bytes of its float32 vectors and head.
    """
    import torch
    from model2vec.distill import distill_from_model
    from model2vec.train import StaticModelForClassification

    from stillhouse.data.splits import label_names, labels_of, read_split
    from stillhouse.models.teacher import load_teacher

    torch.manual_seed(seed)
    splits = {name: read_split(outputs / "prepare" / f"{name}.arrow") for name in ("train", "validation")}
    names = label_names(splits["train"])
    teacher = load_teacher(outputs / "teacher" / "model", 512, torch.device("cpu"))
    static = distill_from_model(teacher.model.base_model, teacher.tokenizer)
    classifier = StaticModelForClassification.from_static_model(model=static)
    labels = {name: [names[label] for label in labels_of(split)] for name, split in splits.items()}
    classifier.fit(
        list(splits["train"]["text"]),
        labels["train"],
        X_val=list(splits["validation"]["text"]),
        y_val=labels["validation"],
        device="cpu",
    )
    return classifier.to_pipeline(), 4 * sum(parameter.numel() for parameter in classifier.parameters())


def model2vec_classifier(outputs: Path, seed: int) -> dict[str, object]:
    """Its ``answers`` (labels of the test texts), ``megabytes`` and ``docs_per_s``."""
    from stillhouse.data.splits import read_split

    pipeline, size = model2vec_pipeline(outputs, seed)
    texts = list(read_split(outputs / "prepare" / "test.arrow")["text"])
    pipeline.predict(texts[:8])
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        answers = pipeline.predict(texts)
        seconds.append(time.perf_counter() - start)
    return {
        "answers": [str(answer) for answer in answers],
        "megabytes": size / 1e6,
        "docs_per_s": len(texts) / min(seconds),
    }


if __name__ == "__main__":  # in a process of its own: its training changes PyTorch's global state
    result = model2vec_classifier(Path(sys.argv[1]), int(sys.argv[2]))
    Path(sys.argv[3]).write_text(json.dumps(result), encoding="utf-8")
