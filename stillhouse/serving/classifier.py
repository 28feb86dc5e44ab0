"""The classifier: predictions with a compressed student.

It needs NumPy, tokenizers and, for networks with an encoder, onnxruntime. A registered model carries a copy of this
file.
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
from tokenizers import Tokenizer

from stillhouse.serving.answers import decide
from stillhouse.serving.chunks import ID, Chunks
from stillhouse.serving.networks import NETWORKS
from stillhouse.task import TASK

PIECES = 8192  # maximum of word pieces in a batch, padding included
BATCH = 256  # maximum of texts in a batch
BLOCK = 512  # texts that are tokenized and sorted by length together, while other threads run the network
AHEAD = 16  # maximum of blocks that are tokenized and wait for the network


class _Runtime:
    """The parts that one process needs to predict: the network, the tokenizer and the threads."""

    def __init__(
        self,
        kind: str,
        model: bytes,
        tokenizer: str,
        max_length: int,
        threads: int,
        common: Mapping[str, Sequence[int]],
    ) -> None:
        self.network = NETWORKS[kind](model)
        self.chunks = Chunks(Tokenizer.from_str(tokenizer), max_length, common)
        self.threads = ThreadPoolExecutor(threads)

    def predict(self, ids: list[bytes], rows: np.ndarray, result: np.ndarray) -> None:
        """Write the probabilities of one batch into its rows of ``result``.

        Args:
            ids: the word pieces of each text of a block.
            rows: the texts of the batch, the longest first.
            result: float32 of shape ``(texts of the block, classes)``.
        """
        result[rows] = TASK.probabilities(self.network.logits([ids[row] for row in rows]))


_all: "weakref.WeakSet[Classifier]" = weakref.WeakSet()
# The parent's runtimes. To delete one in the child could block: its locks may be held by threads of the parent.
_inherited: list[_Runtime] = []


def _after_fork() -> None:
    """In the child process: set the parent's runtimes aside, so that each classifier makes its own."""
    for classifier in list(_all):
        if classifier._runtime is not None:
            _inherited.append(classifier._runtime)
            # If tokenizers used several threads before the fork, it would wait for these threads in the child.
            os.environ["TOKENIZERS_PARALLELISM"] = "false"
        classifier._lock, classifier._runtime = threading.Lock(), None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


class Classifier:
    """A text classifier with scikit-learn's interface: ``predict``, ``predict_proba``, ``classes_``.

    Several threads can use one classifier. It can be pickled and copied. It also works in a forked process (gunicorn's
    ``preload_app``, ``multiprocessing``): the threads and locks of onnxruntime, tokenizers and ``concurrent.futures``
    do not survive a fork, so the child makes new ones at the first use.
    """

    def __init__(
        self,
        kind: str,
        model: bytes,
        tokenizer: str,
        classes: Sequence[str],
        max_length: int,
        threads: int,
        common: Mapping[str, Sequence[int]],
    ) -> None:
        """Make a classifier from the contents of a model's files; :meth:`load` reads them.

        Args:
            kind: the name of the network's file, of :data:`~stillhouse.serving.networks.NETWORKS`.
            model: the content of that file.
            tokenizer: the tokenizer as JSON.
            classes: the names of the classes, in the order of the logits.
            max_length: how many word pieces of a text the network reads.
            threads: how many batches run at the same time.
            common: frequent chunks of text with their word pieces (:class:`~stillhouse.serving.chunks.Chunks`).
        """
        self._kind, self._model, self._tokenizer, self._max_length = kind, model, tokenizer, max_length
        self._count, self._common = threads, dict(common)
        self.classes_ = np.array(classes, dtype=object)
        self._start()

    def _start(self) -> None:
        self._lock = threading.Lock()
        self._runtime: _Runtime | None = None
        _all.add(self)

    @classmethod
    def load(cls, folder: str | Path, threads: int | None = None) -> "Classifier":
        """Load the network, ``tokenizer.json``, ``chunks.json`` and ``config.json`` from ``folder``.

        Args:
            folder: a folder that the stage ``compress`` wrote, or a registered version such as
                ``models:/name@champion``. Only the latter needs MLflow.
            threads: how many batches run at the same time; None means one for each core.

        Raises:
            FileNotFoundError: the folder, or one of the files, does not exist.
            ModuleNotFoundError: ``folder`` names a registered version and MLflow is not installed.
            ValueError: a file is damaged, another version of Stillhouse wrote the folder, or the model has another
                task type.
        """
        folder = _downloaded(str(folder)) if str(folder).startswith("models:/") else Path(folder)
        config = json.loads((folder / "config.json").read_text("utf-8"))
        _check_digests(folder, config.get("sha256", {}))
        _check_task(folder, config.get("task", TASK.name))  # missing in a version registered before it was recorded
        common = json.loads((folder / "chunks.json").read_text("utf-8"))
        kind = next((name for name in NETWORKS if (folder / name).exists()), "model.onnx")
        model, tokenizer = (folder / kind).read_bytes(), (folder / "tokenizer.json").read_text("utf-8")
        classifier = cls(kind, model, tokenizer, config["labels"], config["max_length"], threads or cores(), common)
        classifier._prepared()  # so that an unusable file raises now and the first prediction is fast
        return classifier

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name not in ("_lock", "_runtime")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._start()

    def _prepared(self) -> _Runtime:
        if (runtime := self._runtime) is not None:
            return runtime
        with self._lock:
            if self._runtime is None:
                self._runtime = _Runtime(
                    self._kind, self._model, self._tokenizer, self._max_length, self._count, self._common
                )
            return self._runtime

    def predict_proba(self, texts: Sequence[str]) -> np.ndarray:
        """Probabilities, float32 of shape ``(texts, classes)``; columns in the order of ``classes_``.

        A text is cut after ``max_length`` word pieces, as in training.

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
        runtime = self._prepared()
        if len(texts) == 1 or not runtime.network.parallel:
            for start in range(0, len(texts), BLOCK):
                logits = runtime.network.logits(runtime.chunks.ids(texts[start : start + BLOCK]))
                result[start : start + BLOCK] = TASK.probabilities(logits)
            return result
        waiting: deque[list[Future[None]]] = deque()
        for start in range(0, len(texts), BLOCK):
            ids = runtime.chunks.ids(texts[start : start + BLOCK])
            batches = _batches(np.array([len(row) // ID.itemsize for row in ids]))
            part = result[start : start + BLOCK]
            waiting.append([runtime.threads.submit(runtime.predict, ids, rows, part) for rows in batches])
            if len(waiting) > AHEAD:
                _finish(waiting.popleft())
        for block in waiting:
            _finish(block)
        return result

    def predict(self, texts: Sequence[str]) -> np.ndarray:
        """The most probable label of each text, as strings of shape ``(len(texts),)``."""
        return decide(self.predict_proba(texts), self.classes_)[0]


def _batches(lengths: np.ndarray) -> Iterator[np.ndarray]:
    """Batches of texts of similar length, the longest first, as row numbers.

    ``lengths`` is the number of word pieces of each text, of shape ``(texts,)``.
    """
    order = np.argsort(-lengths, kind="stable")
    start = 0
    while start < len(order):
        size = min(max(PIECES // max(int(lengths[order[start]]), 1), 1), BATCH)
        yield order[start : start + size]
        start += size


def _finish(block: list[Future[None]]) -> None:
    for batch in block:
        batch.result()


def _check_task(folder: Path, name: str) -> None:
    if name != TASK.name:
        raise ValueError(
            f"{folder} has the task type {name!r}; this version of Stillhouse knows {TASK.name!r} only. Install the "
            "version that made the model."
        )


def _check_digests(folder: Path, digests: dict[str, str]) -> None:
    if not digests:
        raise ValueError(f"{folder} was made by an earlier version. Run the stage compress again (dvc repro compress).")
    for name, digest in digests.items():
        if hashlib.sha256((folder / name).read_bytes()).hexdigest() != digest:
            raise ValueError(f"{folder / name} is damaged: it is not the file that was written. Fetch it again.")


def cores() -> int:
    """The number of cores that this process may use; in a container this can be fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _downloaded(uri: str) -> Path:
    try:
        from stillhouse.tracking.address import download_model  # MLflow may be missing where models are only served
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"{uri} is a registered version, and MLflow is not installed. Install it (pip install "
            "'stillhouse[pipeline]'), or name the folder of a model.",
            name=error.name,
        ) from error
    return download_model(uri)
