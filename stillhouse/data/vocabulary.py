"""The student's own word pieces, learnt from the training texts.

A vocabulary of its own keeps the embedding (most of a small student) no larger than the data needs, and
leaves the student free of the teacher's tokenizer: any teacher will do.
"""

from collections.abc import Iterable
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from stillhouse.params import Vocabulary

PAD, UNKNOWN, MASK = "[PAD]", "[UNK]", "[MASK]"
SPECIAL = [PAD, UNKNOWN, MASK]  # their ids are 0, 1, 2
PAD_ID = 0
PREFIX = "##"


def learn_vocabulary(texts: Iterable[str], settings: Vocabulary) -> Tokenizer:
    """Train a WordPiece tokenizer (Wu et al. 2016, arXiv:1609.08144) with BERT's way of splitting words."""
    tokenizer = Tokenizer(models.WordPiece(unk_token=UNKNOWN, max_input_chars_per_word=64))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=settings.lowercase)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece(prefix=PREFIX)
    trainer = trainers.WordPieceTrainer(
        vocab_size=settings.size,
        min_frequency=settings.min_frequency,
        special_tokens=SPECIAL,
        continuing_subword_prefix=PREFIX,
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def load_vocabulary(path: Path) -> Tokenizer:
    """A tokenizer saved as ``tokenizer.json``."""
    return Tokenizer.from_file(str(path))
