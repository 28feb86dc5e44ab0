"""The word pieces of the student, learnt from the training texts.

The embedding is most of a small student. With its own vocabulary it is no larger than the data needs, and the student
does not depend on the teacher's tokenizer: any teacher can be used.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers

from stillhouse.data.keys import uniform_hash
from stillhouse.params import Vocabulary

if TYPE_CHECKING:  # datasets takes more than a second to load
    from datasets import Dataset

PAD, UNKNOWN, MASK = "[PAD]", "[UNK]", "[MASK]"
SPECIAL = [PAD, UNKNOWN, MASK]  # their ids are 0, 1, 2
PAD_ID, UNKNOWN_ID = 0, 1
SAMPLE = 200_000  # texts that the vocabulary is learnt from
BATCH = 1000


def vocabulary_texts(datasets: "Sequence[Dataset]", seed: int, most: int = SAMPLE) -> Iterator[str]:
    """Yield the texts that the vocabulary is learnt from: all, or about ``most`` that a hash of the text selects.

    The trainer stores every distinct word, and their number grows with the texts.
    """
    texts = (text for dataset in datasets for batch in dataset.iter(BATCH) for text in batch["text"])
    count = sum(map(len, datasets))
    if count <= most:
        return texts
    return (text for text in texts if uniform_hash(text, seed, "vocabulary") < most / count)


def learn_vocabulary(texts: Iterable[str], settings: Vocabulary) -> Tokenizer:
    """Learn byte-pair word pieces (Sennrich et al. 2016, arXiv:1508.07909) within words, which are split as in BERT.

    The same texts give the same pieces in the same order. The library's WordPiece trainer does not: it breaks ties by
    a hash that differs from process to process.
    """
    tokenizer = Tokenizer(models.BPE(unk_token=UNKNOWN))
    if settings.lowercase:
        tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    trainer = trainers.BpeTrainer(
        vocab_size=settings.pieces,
        min_frequency=settings.min_frequency,
        special_tokens=SPECIAL,
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def load_vocabulary(path: Path, size: int | None = None) -> Tokenizer:
    """Load ``tokenizer.json``, truncated to ``size`` word pieces if given."""
    tokenizer = Tokenizer.from_file(str(path))
    return tokenizer if size is None else truncate_vocabulary(tokenizer, size)


def truncate_vocabulary(tokenizer: Tokenizer, size: int) -> Tokenizer:
    """Return the first ``size`` pieces, the vocabulary that :func:`learn_vocabulary` learns with this size.

    Byte-pair encoding learns the pieces in order of frequency, each from two earlier ones. So every prefix is a
    vocabulary. Single characters always stay. The ids of the pieces do not change.
    """
    if size >= tokenizer.get_vocab_size():
        return tokenizer
    content = json.loads(tokenizer.to_str())
    model = content["model"]
    numbers = model["vocab"]
    made = [numbers["".join(pair)] for pair in model["merges"]]
    keep = max(size, made[0] if made else len(numbers))
    model["vocab"] = {piece: number for piece, number in numbers.items() if number < keep}
    # End with the merge that made the last remaining piece: a later merge may make an earlier piece in another way.
    model["merges"] = model["merges"][: made.index(keep - 1) + 1] if keep - 1 in made else []
    return Tokenizer.from_str(json.dumps(content))
