"""The classifier: predictions with a compressed student.

It needs NumPy, tokenizers and, for networks with an encoder, onnxruntime. A registered model carries a copy of this
file.
"""

import os
import threading
import weakref
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Tokenizer

from stillhouse.serving.answers import Answers, decide
from stillhouse.serving.chunks import ID, Chunks
from stillhouse.serving.files import ModelFiles, read_model
from stillhouse.serving.networks import ONNX, TABLES, Network, OnnxNetwork, TableNetwork
from stillhouse.task import TASK

PIECES = 2048  # maximum of word pieces in a batch, padding included; more do not fit into a core's cache
BATCH = 256  # maximum of texts in a batch
BLOCK = 512  # texts that are tokenized and sorted by length together, while other threads run the network
AHEAD = 16  # maximum of blocks that are tokenized and wait for the network


class _Runtime:
    """The parts that one process needs to predict: the networks, the tokenizer and the threads.

    Attributes:
        network: answers all texts that the tables do not.
        tables: answer the texts of which they are sure; None where there is one network.
    """

    def __init__(self, files: ModelFiles, threads: int) -> None:
        tables = TableNetwork(files.networks[TABLES]) if TABLES in files.networks else None
        onnx = OnnxNetwork(files.networks[ONNX]) if ONNX in files.networks else None
        network: Network | None = onnx or tables
        if network is None:
            raise ValueError(f"the model has no network: neither {ONNX} nor {TABLES}")
        self.network, self.tables = network, tables if onnx else None
        self.early_exit = files.early_exit
        self.chunks = Chunks(Tokenizer.from_str(files.tokenizer), files.max_length, files.common)
        self.threads = ThreadPoolExecutor(threads)

    def predict(self, ids: list[bytes], rows: np.ndarray, result: np.ndarray) -> None:
        """Write the network's probabilities of one batch into its rows of ``result``.

        Args:
            ids: the word pieces of each text of a block.
            rows: the texts of the batch, the longest first.
            result: float32 of shape ``(texts of the block, classes)``.
        """
        result[rows] = TASK.probabilities(self.network.logits([ids[row] for row in rows]))

    def exits(self, ids: list[bytes], result: np.ndarray) -> np.ndarray:
        """Write the probabilities of the texts of which the tables are sure; return the rows of the others."""
        if self.tables is None:
            return np.arange(len(ids))
        result[:] = TASK.probabilities(self.tables.logits(ids))
        return np.flatnonzero(TASK.confidence(result) < self.early_exit)


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

    :meth:`answer` also defers texts of which the model is not sure.

    Several threads can use one classifier. It can be pickled and copied. It also works in a forked process (gunicorn's
    ``preload_app``, ``multiprocessing``): the threads and locks of onnxruntime, tokenizers and ``concurrent.futures``
    do not survive a fork, so the child makes new ones at the first use.
    """

    def __init__(self, files: ModelFiles, threads: int | None = None) -> None:
        """Make a classifier from the contents of a model's files; :meth:`load` reads them.

        Args:
            files: the contents.
            threads: how many batches run at the same time; None means one for each core.
        """
        self._files, self._threads = files, threads or cores()
        self.classes_ = np.array(files.labels, dtype=object)
        self.min_confidence = files.min_confidence
        self._start()

    def _start(self) -> None:
        self._lock = threading.Lock()
        self._runtime: _Runtime | None = None
        _all.add(self)

    @classmethod
    def load(cls, folder: str | Path, threads: int | None = None) -> "Classifier":
        """Load a model from a folder, or a registered version (:func:`~stillhouse.serving.files.read_model`).

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
        classifier = cls(read_model(folder), threads)
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
                self._runtime = _Runtime(self._files, self._threads)
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
        waiting: deque[list[Future[None]]] = deque()
        for start in range(0, len(texts), BLOCK):
            ids, part = runtime.chunks.ids(texts[start : start + BLOCK]), result[start : start + BLOCK]
            rows = runtime.exits(ids, part)
            if len(rows) == 1 or not runtime.network.parallel:
                runtime.predict(ids, rows, part)
                continue
            lengths = np.array([len(ids[row]) // ID.itemsize for row in rows])
            batches = [rows[batch] for batch in _batches(lengths)]
            waiting.append([runtime.threads.submit(runtime.predict, ids, batch, part) for batch in batches])
            if len(waiting) > AHEAD:
                _finish(waiting.popleft())
        for block in waiting:
            _finish(block)
        return result

    def predict(self, texts: Sequence[str]) -> np.ndarray:
        """The most probable label of each text, as strings of shape ``(len(texts),)``."""
        return decide(self.predict_proba(texts), self.classes_).labels

    def answer(self, texts: Sequence[str], min_confidence: float | None = None) -> Answers:
        """Return the label of each text, its probability, and whether it is deferred.

        Args:
            texts: the texts.
            min_confidence: a text whose probability is lower is deferred. None: the threshold in the model's
                ``config.json``; without one no text is deferred.

        Raises:
            TypeError: ``texts`` is one string, or an element is not a string.
            ValueError: ``min_confidence`` is not from 0 to 1.
        """
        least = self.min_confidence if min_confidence is None else min_confidence
        if not 0.0 <= least <= 1.0:
            raise ValueError(f"min_confidence is {least}; it must be from 0 to 1")
        return decide(self.predict_proba(texts), self.classes_, least)


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


def cores() -> int:
    """The number of cores that this process may use; in a container this can be fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
