"""Early exit: the words of a text alone decide where they suffice, and the whole network decides the other texts.

The word vectors and the wide branch of a trained student get a head of their own, which learns the answers of the
compressed student. Served as tables it takes a fraction of the network's time. After S. Teerapittayanon et al.,
"BranchyNet", ICPR 2016, arXiv:1709.01686.
"""

import logging
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from datasets import Dataset
from tokenizers import Tokenizer
from torch import nn

from stillhouse.compression.tables import first_pieces, tables_of, write_tables
from stillhouse.data.encoded import Encoded, batches, encode_texts
from stillhouse.models.students.architectures import ARCHITECTURES
from stillhouse.models.students.network import TextNetwork
from stillhouse.models.students.student import EVALUATION_BATCH, Student
from stillhouse.serving.chunks import Chunks
from stillhouse.serving.classifier import Classifier
from stillhouse.serving.networks import TABLES, TableNetwork
from stillhouse.task import TASK

logger = logging.getLogger(__name__)

ITERATIONS = 60  # of L-BFGS; more did not change which texts exit
DECAY = 1e-4
LEAST_CHECKS = 500  # fewer texts show nothing of a limit of a few per mille
LEAST_EXITS = 0.5  # a smaller share of texts is not worth the bytes
MOST_BYTES = 0.2  # of the tables, as a share of the network's files


@dataclass(frozen=True)
class ExitTexts:
    """Texts for an early exit.

    Attributes:
        fitted: the tables learn the compressed student's answers for these.
        checks: groups of other texts. The threshold must be high enough for each group.
    """

    fitted: list[str]
    checks: list[list[str]]


def add_early_exit(student: Student, folder: Path, texts: ExitTexts, limit: float, kind: str) -> float | None:
    """Add tables to the compressed student in ``folder``.

    Args:
        student: the trained student.
        folder: the files of the compressed student.
        texts: to learn from, and to check on.
        limit: share of the texts that may be decided in another way than by the whole network.
        kind: the quantisation of the tables (``compress.quantisation``).

    Returns:
        The least probability at which an answer of the tables is final. None, and no file, if too few texts exit, the
        tables are too large, or there are too few texts to check on.
    """
    if sum(map(len, texts.checks)) < LEAST_CHECKS:
        return None
    whole, network = Classifier.load(folder), _words_alone(student)
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    _fit_head(network, tokenizer, student.settings.reads, texts.fitted, whole.predict_proba(texts.fitted))
    size = sum(file.stat().st_size for file in folder.iterdir())
    write_tables(first_pieces(tables_of(network), tokenizer.get_vocab_size()), folder / TABLES, kind)
    tables, chunks = TableNetwork((folder / TABLES).read_bytes()), Chunks(tokenizer, student.settings.reads)
    highest, sure = 0.0, []
    for group in filter(None, texts.checks):
        found = TASK.probabilities(tables.logits(chunks.ids(group)))
        sure.append(TASK.confidence(found))
        agrees = TASK.correct(TASK.decision(whole.predict_proba(group)), TASK.decision(found))
        highest = max(highest, threshold(sure[-1], agrees, limit))
    exits, added = min(float(np.mean(one >= highest)) for one in sure), (folder / TABLES).stat().st_size / size
    used = exits >= LEAST_EXITS and added <= MOST_BYTES
    message = "early exit: %s; the words alone decide %.0f %% of the texts, with %.0f %% more bytes"
    logger.info(message, "used" if used else "not used", 100 * exits, 100 * added)
    if not used:
        (folder / TABLES).unlink()
    return highest if used else None


def threshold(confidence: np.ndarray, agrees: np.ndarray, limit: float) -> float:
    """Return the least confidence at which at most a share ``limit`` of all texts exits with another decision.

    Args:
        confidence: of each text (texts,).
        agrees: whether its decision is that of the whole network (texts,).
        limit: share of all texts.
    """
    order = np.argsort(-confidence, kind="stable")
    allowed = np.cumsum(~agrees[order]) <= limit * len(order)
    count = len(order) if allowed.all() else int(np.argmin(allowed))
    if count == len(order):
        return float(confidence.min(initial=1.0))
    # The first text that is not allowed must not exit, nor any text as sure as it.
    return float(np.nextafter(np.float32(confidence[order[count]]), np.float32(2.0)))


def _words_alone(student: Student) -> TextNetwork:
    """Return a network with the word vectors and the wide branch of ``student``, and a head that is not trained."""
    settings = student.settings.model_copy(update={"architecture": "bag", "bag": True})
    network = ARCHITECTURES["bag"](student.tokenizer.get_vocab_size(), len(student.label_names), settings)
    network.embedding.load_state_dict(student.network.embedding.state_dict())
    if network.wide is not None and student.network.wide is not None:
        network.wide.load_state_dict(student.network.wide.state_dict())
    return network.eval()


def _fit_head(network: TextNetwork, tokenizer: Tokenizer, length: int, texts: list[str], answers: np.ndarray) -> None:
    """Fit the head of ``network`` to probabilities (texts, classes)."""
    with tempfile.TemporaryDirectory() as scratch:
        encoded = encode_texts([Dataset.from_dict({"text": texts})], tokenizer, length, Path(scratch, "ids"))
        features = _features(network, encoded)
    mean, deviation = features.mean(0), features.std(0) + 1e-6
    inputs, targets = (features - mean) / deviation, torch.from_numpy(TASK.logits(answers)).double()
    head = nn.Linear(features.shape[1], answers.shape[1]).double()
    nn.init.zeros_(head.weight)
    nn.init.zeros_(head.bias)
    optimizer = torch.optim.LBFGS(head.parameters(), max_iter=ITERATIONS, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        value = TASK.soft_loss(head(inputs), targets, 1.0).mean() + DECAY * head.weight.square().sum()
        value.backward()  # type: ignore[no-untyped-call]
        return value

    optimizer.step(loss)  # type: ignore[no-untyped-call]
    with torch.no_grad():
        weight = head.weight / deviation
        network.head.weight.copy_(weight)
        network.head.bias.copy_(head.bias - weight @ mean)


@torch.no_grad()
def _features(network: TextNetwork, encoded: Encoded) -> torch.Tensor:
    features = torch.empty(len(encoded), network.features, dtype=torch.float64)
    for rows in batches(encoded.lengths, EVALUATION_BATCH):
        features[torch.from_numpy(rows)] = network.pooled(torch.from_numpy(encoded.padded(rows))).double()
    return features
