"""What a user would bring: texts with labels, and a teacher in a folder."""

import random
from pathlib import Path

WORDS = {
    "sport": ["match", "goal", "team", "player", "coach", "league", "cup", "season", "win", "score"],
    "cooking": ["oven", "butter", "flour", "recipe", "sugar", "boil", "pan", "knife", "taste", "salt"],
    "weather": ["rain", "wind", "cloud", "storm", "sun", "snow", "forecast", "heat", "frost", "fog"],
}
FILLER = [
    "the",
    "a",
    "of",
    "and",
    "to",
    "in",
    "it",
    "was",
    "on",
    "for",
    "with",
    "that",
    "this",
    "day",
    "people",
    "time",
    "new",
    "very",
    "some",
    "more",
]


def texts_and_labels(rows: int, seed: int = 0) -> list[tuple[str, str]]:
    """Short texts that can be told apart by their words, with some noise."""
    chance = random.Random(seed)
    made = []
    for index in range(rows):
        label = list(WORDS)[index % len(WORDS)]
        words = chance.choices(WORDS[label], k=3) + chance.choices(FILLER, k=7)
        chance.shuffle(words)
        made.append((" ".join(words) + f" {index}", label))
    return made


def write_csv(path: Path, rows: list[tuple[str, str]], header: str = "review,topic") -> Path:
    path.write_text(header + "\n" + "".join(f"{text},{label}\n" for text, label in rows), encoding="utf-8")
    return path


def tiny_teacher(folder: Path, layers: int = 2) -> Path:
    """A BERT of a few thousand weights with a word-piece vocabulary of its own, as a local directory."""
    import torch
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import BertConfig, BertForSequenceClassification, BertTokenizerFast

    words = [
        "[PAD]",
        "[UNK]",
        "[CLS]",
        "[SEP]",
        "[MASK]",
        *FILLER,
        *(word for words in WORDS.values() for word in words),
    ]
    tokenizer = Tokenizer(models.WordPiece({word: index for index, word in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    BertTokenizerFast(tokenizer_object=tokenizer).save_pretrained(folder)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(words),
        hidden_size=32,
        num_hidden_layers=layers,
        num_attention_heads=2,
        intermediate_size=128,
        max_position_embeddings=64,
    )
    BertForSequenceClassification(config).save_pretrained(folder)
    return folder


def tiny_model(folder: Path, architecture: str = "resnet") -> Path:
    """A folder as the stage ``compress`` writes it, of a student with random weights and the classes of ``WORDS``."""
    import numpy as np
    import torch
    from datasets import Dataset

    from stillhouse.compression.early_exit import ExitTexts
    from stillhouse.compression.parity import Reference
    from stillhouse.compression.steps import compress_student
    from stillhouse.compression.texts import CalibrationTexts, CompressionTexts
    from stillhouse.data.vocabulary import learn_vocabulary
    from stillhouse.models.students.student import build_student
    from stillhouse.params import Vocabulary, load_params

    params = load_params(Path(__file__).parent.parent / "params.yaml")
    texts = [text for text, _ in texts_and_labels(60)]
    network = params.student.network
    shape = {"architecture": architecture, "embedding": 16, "width": 16, "depth": 2, "max_length": 16}
    shape["wide"] = network.wide.model_copy(update={"embedding": 0})
    torch.manual_seed(0)
    student = build_student(
        learn_vocabulary(texts, Vocabulary(pieces=200, min_frequency=1, lowercase=True)),
        sorted(WORDS),
        network.model_copy(update=shape),
    )
    settings = params.compress.model_copy(update={"quantisation": "none", "vocabulary": None, "early_exit": None})
    data, scratch = Dataset.from_dict({"text": texts}), folder.with_name(f"{folder.name}-scratch")
    scratch.mkdir(parents=True)
    labelled = data.select([]).add_column("label", [])
    reference = Reference.of(student, labelled, data)
    read = CompressionTexts(
        data, ["the", "goal"], ExitTexts(texts, []), CalibrationTexts([], np.zeros((0, len(WORDS))), "labels")
    )
    compress_student(student, settings, read, reference, scratch, folder)
    return folder
