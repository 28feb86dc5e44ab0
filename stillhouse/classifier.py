"""The compressed student: text in, label and probability out.

Needs NumPy, tokenizers and onnxruntime alone. The registered model carries a copy of this file.
"""

import json
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnxruntime
from tokenizers import Tokenizer

BATCH = 32  # texts that a thread gives the network at once
CHUNK = 4096  # texts that are tokenized and sorted by length together
CHARACTERS = 6  # of a word piece, rather too many: so much of a long text is tokenized at first


class Classifier:
    """A text classifier with scikit-learn's manners: ``predict``, ``predict_proba``, ``classes_``."""

    def __init__(
        self,
        session: onnxruntime.InferenceSession,
        tokenizer: Tokenizer,
        classes: list[str],
        max_length: int,
        threads: int,
    ) -> None:
        self.session = session
        self._threads = ThreadPoolExecutor(threads)
        self.tokenizer = tokenizer
        self.tokenizer.no_padding()
        self.tokenizer.enable_truncation(max_length)
        self.max_length = max_length
        self.classes_ = np.array(classes, dtype=object)

    @classmethod
    def load(cls, folder: str | Path, threads: int | None = None) -> "Classifier":
        """Load ``model.onnx``, ``tokenizer.json`` and ``config.json`` from ``folder``.

        Args:
            folder: what the compress stage wrote, or a registered version such as ``models:/name@champion``,
                for which alone MLflow is needed.
            threads: so many batches are in the network at once; one for each core when None.

        Raises:
            FileNotFoundError: the folder, or one of the files, does not exist.
        """
        folder = _fetched(str(folder)) if str(folder).startswith("models:/") else Path(folder)
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        options.intra_op_num_threads = 1  # the network is small: a batch a thread is faster than threads that share one
        session = onnxruntime.InferenceSession(str(folder / "model.onnx"), options, providers=["CPUExecutionProvider"])
        tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        return cls(session, tokenizer, config["labels"], config["max_length"], threads or cores())

    def predict_proba(self, texts: Sequence[str]) -> np.ndarray:
        """Probabilities, float32 of shape ``(len(texts), classes)``; columns in the order of ``classes_``.

        Texts beyond the length that the student was trained on are cut, as in training.

        Raises:
            TypeError: ``texts`` is one string, or an element is not a string.
        """
        if isinstance(texts, str):
            raise TypeError("texts must be a list of strings, not one string")
        result = np.empty((len(texts), len(self.classes_)), dtype=np.float32)
        for start in range(0, len(texts), CHUNK):
            self._predict_chunk(list(texts[start : start + CHUNK]), start, result)
        return result

    def predict(self, texts: Sequence[str]) -> np.ndarray:
        """The most probable label of each text, as strings of shape ``(len(texts),)``."""
        labels: np.ndarray = self.classes_[self.predict_proba(texts).argmax(1)]
        return labels

    def _predict_chunk(self, texts: list[str], offset: int, result: np.ndarray) -> None:
        for position, text in enumerate(texts, start=offset):
            if not isinstance(text, str):
                raise TypeError(f"text {position} is {type(text).__name__}, not a string")
        try:
            ids = self._encode(texts)
        except TypeError:  # half of a surrogate pair, as JSON may hold: UTF-8 has no bytes for it
            ids = self._encode([text.encode("utf-8", "replace").decode("utf-8") for text in texts])
        order = np.argsort([-len(row) for row in ids], kind="stable")

        def answer(rows: np.ndarray) -> None:
            batch = np.zeros((len(rows), max(len(ids[rows[0]]), 1)), dtype=np.int64)
            for position, row in enumerate(rows):
                batch[position, : len(ids[row])] = ids[row]
            logits = self.session.run(None, {"ids": batch})[0]
            exponents = np.exp(logits - logits.max(1, keepdims=True))
            result[rows + offset] = exponents / exponents.sum(1, keepdims=True)

        batches = [order[start : start + BATCH] for start in range(0, len(order), BATCH)]
        spread = self._threads.map if len(batches) > 1 else map
        list(spread(answer, batches))

    def _encode(self, texts: list[str]) -> list[list[int]]:
        """Word pieces of each text, as if it had been tokenized whole: what lies behind the last is not looked at."""
        heads = [_head(text, self.max_length * CHARACTERS) for text in texts]
        ids = [encoding.ids for encoding in self.tokenizer.encode_batch_fast(heads, add_special_tokens=False)]
        missing = [
            row for row, pieces in enumerate(ids) if len(pieces) < self.max_length and len(heads[row]) < len(texts[row])
        ]
        whole = self.tokenizer.encode_batch_fast([texts[row] for row in missing], add_special_tokens=False)
        for row, encoding in zip(missing, whole, strict=True):
            ids[row] = encoding.ids
        return ids


def _head(text: str, length: int) -> str:
    """The text up to the last space within ``length`` characters; no word piece spans a space."""
    if len(text) <= length:
        return text
    end = text.rfind(" ", 0, length)
    return text[:end] if end > 0 else text


def cores() -> int:
    """Cores that this process may use, which in a container may be fewer than there are."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _fetched(uri: str) -> Path:
    from mlflow.artifacts import download_artifacts  # where a model is served from its folder, MLflow may be missing

    store = os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{Path('mlflow.db').resolve()}"
    return Path(download_artifacts(artifact_uri=uri, tracking_uri=store)) / "artifacts" / "model"
