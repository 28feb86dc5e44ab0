"""Labels from a language model behind a server with OpenAI's chat protocol.

Use :func:`label_texts` and, for the price in advance, :func:`estimate`.
"""

from stillhouse.labelling.language_model.estimate import Estimate, estimate
from stillhouse.labelling.language_model.labelling import label_texts
from stillhouse.labelling.language_model.outcome import Answers

__all__ = ["Answers", "Estimate", "estimate", "label_texts"]
