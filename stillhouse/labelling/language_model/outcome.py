"""What a language model answered, with counts and costs."""

from dataclasses import dataclass

import numpy as np

from stillhouse.labelling.language_model.abilities import Kind


@dataclass(frozen=True)
class Answers:
    """What the language model answered. Counts are of distinct texts.

    Attributes:
        probabilities: float32 (texts, classes), in the order of the classes that were given. Each row adds up to 1, or
            is NaN for a text without a usable answer.
        kind: what the probabilities are from; None without texts, or if the cap allows no call.
        cached: texts whose answer was stored before.
        paid: texts that were answered in this run.
        unusable: of these two, texts without a usable answer.
        failed: texts without an answer after all retries; a further run tries them again.
        left: texts that were not reached below the cap.
        cut: texts that were cut in the middle.
        calls: answered calls of this run, with those that found out what the server supports.
        prompt_tokens: of this run.
        completion_tokens: of this run.
        price: dollars of the answers that are used, also of those of earlier runs.
        dollars: of this run; 0 without prices. Calls whose outcome is unknown count with their highest price.
        dollars_in_all: of all runs in the folder.
        at_cap: whether the run stopped at ``label.max_cost``.
    """

    probabilities: np.ndarray
    kind: Kind | None
    cached: int
    paid: int
    unusable: int
    failed: int
    left: int
    cut: int
    calls: int
    prompt_tokens: int
    completion_tokens: int
    price: float
    dollars: float
    dollars_in_all: float
    at_cap: bool
