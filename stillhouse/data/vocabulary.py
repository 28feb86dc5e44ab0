"""The student's own word pieces, learnt from the training texts.

A vocabulary of its own keeps the embedding (most of a small student) no larger than the data needs, and
leaves the student free of the teacher's tokenizer: any teacher will do.
"""

from collections.abc import Iterable
from pathlib import Path

from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers

from stillhouse.params import Vocabulary

PAD, UNKNOWN, MASK = "[PAD]", "[UNK]", "[MASK]"
SPECIAL = [PAD, UNKNOWN, MASK]  # their ids are 0, 1, 2
PAD_ID, UNKNOWN_ID = 0, 1


def learn_vocabulary(texts: Iterable[str], settings: Vocabulary) -> Tokenizer:
    """Learn byte-pair word pieces (Sennrich et al. 2016, arXiv:1508.07909) within words split as BERT does.

    The same texts give the same pieces in the same order. (Of WordPiece, the library's trainer breaks ties by
    a hash that differs from process to process.)
    """
    tokenizer = Tokenizer(models.BPE(unk_token=UNKNOWN))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=settings.lowercase)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trainer = trainers.BpeTrainer(
        vocab_size=settings.size,
        min_frequency=settings.min_frequency,
        special_tokens=SPECIAL,
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def load_vocabulary(path: Path) -> Tokenizer:
    """A tokenizer saved as ``tokenizer.json``."""
    return Tokenizer.from_file(str(path))
