"""The compressed student: text in, label and probability out.

Needs NumPy, tokenizers and onnxruntime alone. The registered model carries a copy of this file.
"""

import hashlib
import json
import os
import threading
import weakref
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from tokenizers import Tokenizer

from stillhouse.chunks import ID, Chunks

PIECES = 8192  # word pieces, padding included, that a thread gives the network at once
BATCH = 256  # and texts at most
BLOCK = 512  # texts that are tokenized and sorted by length together, while others are in the network
AHEAD = 16  # blocks that may wait for the network


class _Open:
    """What serves the texts within one process: the network, the tokenizer, and the threads."""

    def __init__(
        self, model: bytes, tokenizer: str, max_length: int, threads: int, common: Mapping[str, Sequence[int]]
    ) -> None:
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        options.intra_op_num_threads = 1  # the network is small: a batch a thread is faster than threads that share one
        self.session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        self.chunks = Chunks(Tokenizer.from_str(tokenizer), max_length, common)
        self.threads = ThreadPoolExecutor(threads)

    def answer(self, ids: list[bytes], rows: np.ndarray, result: np.ndarray) -> None:
        """Put the probabilities of ``rows`` of a block, the longest first, into their rows of ``result``."""
        chosen = [ids[row] for row in rows]
        lengths = np.array([len(row) // ID.itemsize for row in chosen])
        batch = np.zeros((len(rows), max(lengths[0], 1)), dtype=np.int64)
        batch[np.arange(batch.shape[1]) < lengths[:, None]] = np.frombuffer(b"".join(chosen), ID)
        logits = self.session.run(None, {"ids": batch})[0]
        exponents = np.exp(logits - logits.max(1, keepdims=True))
        result[rows] = exponents / exponents.sum(1, keepdims=True)


_all: "weakref.WeakSet[Classifier]" = weakref.WeakSet()
_inherited: list[_Open] = []  # of the parent: to close one could wait for a lock that no thread holds any more


def _after_fork() -> None:
    """In the child: what the parent opened is left alone, and each classifier opens its own."""
    for one in list(_all):
        if one._open is not None:
            _inherited.append(one._open)
            # Tokenizers that ran on several threads before the fork would wait for these threads here.
            os.environ["TOKENIZERS_PARALLELISM"] = "false"
        one._lock, one._open = threading.Lock(), None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


class Classifier:
    """A text classifier with scikit-learn's interface: ``predict``, ``predict_proba``, ``classes_``.

    Safe to use from several threads, to pickle and to copy. In a forked process (gunicorn's ``preload_app``,
    ``multiprocessing``) it works, too: neither the threads nor the locks of onnxruntime, tokenizers and
    ``concurrent.futures`` outlive a fork, so there they are made anew, at the first use.
    """

    def __init__(
        self,
        model: bytes,
        tokenizer: str,
        classes: Sequence[str],
        max_length: int,
        threads: int,
        common: Mapping[str, Sequence[int]],
    ) -> None:
        """``model`` is ONNX, ``tokenizer`` the JSON of one; ``common`` chunks are known with their ids."""
        self._model, self._tokenizer, self._max_length = model, tokenizer, max_length
        self._count, self._common = threads, dict(common)
        self.classes_ = np.array(classes, dtype=object)
        self._start()

    def _start(self) -> None:
        self._lock = threading.Lock()
        self._open: _Open | None = None
        _all.add(self)

    @classmethod
    def load(cls, folder: str | Path, threads: int | None = None) -> "Classifier":
        """Load ``model.onnx``, ``tokenizer.json``, ``chunks.json`` and ``config.json`` from ``folder``.

        Args:
            folder: what the compress stage wrote, or a registered version such as ``models:/name@champion``,
                for which alone MLflow is needed.
            threads: so many batches are in the network at once; one for each core when None.

        Raises:
            FileNotFoundError: the folder, or one of the files, does not exist.
            ValueError: a file is not what was written, or a version before this one wrote it.
        """
        folder = _fetched(str(folder)) if str(folder).startswith("models:/") else Path(folder)
        config = json.loads((folder / "config.json").read_text("utf-8"))
        _check(folder, config.get("sha256", {}))
        common = json.loads((folder / "chunks.json").read_text("utf-8"))
        model, tokenizer = (folder / "model.onnx").read_bytes(), (folder / "tokenizer.json").read_text("utf-8")
        made = cls(model, tokenizer, config["labels"], config["max_length"], threads or cores(), common)
        made._opened()  # so that a file that cannot be used is an error now, and the first answer does not wait
        return made

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name not in ("_lock", "_open")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._start()

    def _opened(self) -> "_Open":
        if (ready := self._open) is not None:
            return ready
        with self._lock:
            if self._open is None:
                self._open = _Open(self._model, self._tokenizer, self._max_length, self._count, self._common)
            return self._open

    def predict_proba(self, texts: Sequence[str]) -> np.ndarray:
        """Probabilities, float32 of shape ``(len(texts), classes)``; columns in the order of ``classes_``.

        Texts beyond the length that the student was trained on are cut, as in training.

        Raises:
            TypeError: ``texts`` is one string, or an element is not a string.
        """
        if isinstance(texts, str):
            raise TypeError("texts must be a list of strings, not one string")
        texts = texts if isinstance(texts, list) else list(texts)
        for position, text in enumerate(texts):
            if not isinstance(text, str):
                raise TypeError(f"text {position} is {type(text).__name__}, not a string")
        result = np.empty((len(texts), len(self.classes_)), dtype=np.float32)
        ready = self._opened()
        if len(texts) == 1:  # a thread of its own would only be waited for
            ready.answer(ready.chunks.ids(texts), np.zeros(1, np.int64), result)
            return result
        waiting: deque[list[Future[None]]] = deque()
        for start in range(0, len(texts), BLOCK):
            ids = ready.chunks.ids(texts[start : start + BLOCK])
            batches = _batches(np.array([len(row) // ID.itemsize for row in ids]))
            here = result[start : start + BLOCK]
            waiting.append([ready.threads.submit(ready.answer, ids, rows, here) for rows in batches])
            if len(waiting) > AHEAD:
                _finish(waiting.popleft())
        for block in waiting:
            _finish(block)
        return result

    def predict(self, texts: Sequence[str]) -> np.ndarray:
        """The most probable label of each text, as strings of shape ``(len(texts),)``."""
        labels: np.ndarray = self.classes_[self.predict_proba(texts).argmax(1)]
        return labels


def _batches(lengths: np.ndarray) -> Iterator[np.ndarray]:
    """Rows in batches of similar length, the longest first; ``lengths`` (texts,) are in word pieces."""
    order = np.argsort(-lengths, kind="stable")
    start = 0
    while start < len(order):
        size = min(max(PIECES // max(int(lengths[order[start]]), 1), 1), BATCH)
        yield order[start : start + size]
        start += size


def _finish(block: list[Future[None]]) -> None:
    for batch in block:
        batch.result()


def _check(folder: Path, digests: dict[str, str]) -> None:
    if not digests:
        raise ValueError(f"{folder} was made by an earlier version. Run the stage compress again (dvc repro compress).")
    for name, digest in digests.items():
        if hashlib.sha256((folder / name).read_bytes()).hexdigest() != digest:
            raise ValueError(f"{folder / name} is damaged: it is not the file that was written. Fetch it again.")


def cores() -> int:
    """Cores that this process may use, which in a container may be fewer than there are."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _fetched(uri: str) -> Path:
    from mlflow.artifacts import download_artifacts  # where a model is served from its folder, MLflow may be missing

    store = os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{Path('mlflow.db').resolve()}"
    return Path(download_artifacts(artifact_uri=uri, tracking_uri=store)) / "artifacts" / "model"
