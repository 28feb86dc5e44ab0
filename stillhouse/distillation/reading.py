"""How many tokens of each text a teacher reads, for ``teacher.max_length: auto``."""

import logging
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from stillhouse.distillation.probe import cross_validated, head_and_inputs
from stillhouse.models.checkpoint import max_tokens
from stillhouse.models.teacher import Teacher

logger = logging.getLogger(__name__)

LENGTHS = (256, 512)  # beyond the shortest, params.teacher.SHORTEST
TEXTS = 500  # most labelled texts that are compared
SHOWN = 1.645  # standard errors, the one-sided 95 % limit


def choose_length(teacher: Teacher, texts: Sequence[str], labels: np.ndarray, seed: int) -> int:
    """Return the number of tokens of each text that the teacher should read.

    From ``teacher.max_length`` on, the next of ``LENGTHS`` is selected as long as it lowers the cross-validated log
    loss of a linear probe on the pretrained encoder, by a difference that is shown at 95 %. A length that no text has
    is not tried, nor any if the teacher has no linear layer that reads one vector for each text.

    Args:
        teacher: the pretrained teacher.
        texts: the labelled training texts.
        labels: class numbers (texts,).
        seed: of the selected texts and the folds.
    """
    rows = np.random.default_rng(seed).permutation(len(texts))[:TEXTS]
    compared, limit = [texts[row] for row in rows], max_tokens(teacher.model) or LENGTHS[-1]
    lengths = [teacher.max_length, *(length for length in LENGTHS if teacher.max_length < length <= limit)]
    longest = max(len(ids) for ids in replace(teacher, max_length=lengths[-1]).tokens(compared)["input_ids"])
    chosen: int = lengths[0]
    losses: np.ndarray | None = None
    for length in lengths:
        if losses is not None and longest <= chosen:
            break
        if (found := head_and_inputs(replace(teacher, max_length=length), compared)) is None:
            return chosen
        _, own = cross_validated(found[1], labels[rows], seed)
        logger.info("reading %d tokens of each text: log loss %.4f in cross-validation", length, own.mean())
        if losses is not None:
            gain = losses - own
            if not len(gain) or gain.mean() <= SHOWN * gain.std() / np.sqrt(len(gain)):
                break
        chosen, losses = length, own
    logger.info("teacher.max_length: auto selects %d", chosen)
    return chosen
