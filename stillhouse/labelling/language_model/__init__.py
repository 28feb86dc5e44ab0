"""Labels from a language model behind a server with OpenAI's chat protocol.

Use :func:`label_texts` and, for the price in advance, :func:`estimate`.
"""

from stillhouse.labelling.language_model.estimate import Estimate, estimate
from stillhouse.labelling.language_model.labelling import Answers, label_texts

__all__ = ["Answers", "Estimate", "estimate", "label_texts"]
