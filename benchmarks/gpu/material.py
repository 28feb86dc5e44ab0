"""Texts, teachers and splits for the parts, from the files in ``.gpu/`` or from the packaged sample."""

import gc
import gzip
import json
import resource
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import ClassLabel, Dataset, disable_progress_bars
from safetensors import safe_open
from tokenizers import Tokenizer
from transformers import AutoTokenizer, BertConfig, BertForSequenceClassification

from benchmarks.gpu.bare import CARRIED
from benchmarks.gpu.job import Job
from stillhouse.data.sample import sample_teacher, sample_texts
from stillhouse.data.vocabulary import learn_vocabulary
from stillhouse.models.pretrained import load_pretrained
from stillhouse.models.teacher import Teacher
from stillhouse.params import Teacher as Settings

SEED = 13
SAVED = "teacher"  # folder of the fine-tuned teacher, in the run's folder
ANSWERS = "answers"  # folder of the soft labels, logits.npy and features.npy

disable_progress_bars()


def texts(job: Job) -> tuple[list[str], list[str]]:
    """All texts and their labels, in a random order with a fixed seed."""
    file = job.texts or CARRIED / "texts.jsonl.gz"
    if file.is_file():
        content = gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()
        rows = [json.loads(line) for line in content.decode("utf-8").split("\n") if line]
        found, labels = [row["text"] for row in rows], [row["label"] for row in rows]
    else:
        found, labels = sample_texts()
    order = np.random.default_rng(SEED).permutation(len(found))
    return [found[row] for row in order], [labels[row] for row in order]


def checkpoint(job: Job) -> Path:
    """The folder of the packaged teacher: requested, else in ``.gpu/`` (fp16), else of the sample (fp32)."""
    carried = CARRIED / "teacher"
    return job.teacher or (carried if carried.is_dir() else sample_teacher())


def stored(job: Job) -> str:
    """The precision of the packaged teacher's weights in their file."""
    with safe_open(checkpoint(job) / "model.safetensors", framework="pt") as file:
        names = list(file.keys())
        return f"stored in {str(file.get_tensor(names[-1]).dtype).removeprefix('torch.')}"


def splits(job: Job, count: int) -> tuple[Dataset, Dataset]:
    """``count`` training texts (repeated if there are fewer), and at least 8, about a quarter as many, to validate."""
    found, labels = texts(job)
    size, names = max(min(len(found) // 4, count // 4), 8), sorted(set(labels))
    return _dataset(found[size:], labels[size:], count, names), _dataset(found[:size], labels[:size], size, names)


def _dataset(found: list[str], labels: list[str], count: int, names: list[str]) -> Dataset:
    rows = [row % len(found) for row in range(count)]
    dataset = Dataset.from_dict({"text": [found[r] for r in rows], "label": [names.index(labels[r]) for r in rows]})
    return dataset.cast_column("label", ClassLabel(names=names))


def packaged(job: Job, names: list[str], **changes: Any) -> tuple[Teacher, Settings]:
    """The packaged teacher with a new head, and the parameters for its fine-tuning."""
    folder, settings = checkpoint(job), job.params.teacher
    settings = settings.model_copy(update={"model": str(folder), "max_length": job.sizes.length, **changes})
    torch.manual_seed(SEED)
    return load_pretrained(settings, names), settings


def random_bert(job: Job, names: list[str], **changes: Any) -> tuple[Teacher, Settings]:
    """A BERT with random weights and the packaged teacher's tokenizer, and the parameters for its fine-tuning."""
    tokenizer = AutoTokenizer.from_pretrained(checkpoint(job), local_files_only=True)
    torch.manual_seed(SEED)
    config = BertConfig(
        vocab_size=len(tokenizer), num_labels=len(names), attention_probs_dropout_prob=0.0, **job.sizes.random
    )
    settings = job.params.teacher.model_copy(
        update={"max_length": job.sizes.length, "freeze_layers": 0, "learning_rate": 2e-5, **changes}
    )
    return Teacher(BertForSequenceClassification(config), tokenizer, job.sizes.length), settings


def described(teacher: Teacher) -> str:
    """A teacher's number of layers, hidden size and number of weights, for a note."""
    millions = sum(parameter.numel() for parameter in teacher.model.parameters()) / 1e6
    config = teacher.model.config
    return f"{config.num_hidden_layers} layers of {config.hidden_size}, {millions:.1f} M weights"


def work_per_text(teacher: Teacher, tokens: float, training: bool) -> float:
    """Floating-point operations for a text of ``tokens`` tokens, without padding and look-ups.

    They are two for each token and weight of a layer, and for attention's two products 4 x layers x width for each pair
    of tokens. Training needs three times as many (A. Chowdhery et al., "PaLM", 2022, arXiv:2204.02311, appendix B),
    where every weight counts as trained.
    """
    config, tables = teacher.model.config, teacher.model.base_model.embeddings
    looked_up = sum(parameter.numel() for parameter in tables.parameters())
    weights = sum(parameter.numel() for parameter in teacher.model.parameters()) - looked_up
    forward = 2 * weights * tokens + 4 * config.num_hidden_layers * config.hidden_size * tokens**2
    return float(forward * (3 if training else 1))


def mean_tokens(teacher: Teacher, found: list[str]) -> float:
    """The mean number of tokens that the teacher reads of a text."""
    return float(np.mean([len(ids) for ids in teacher.tokens(found)["input_ids"]]))


def student_vocabulary(job: Job, train: Dataset) -> Tokenizer:
    """A student's vocabulary, learnt from ``train``."""
    return learn_vocabulary(train["text"], job.params.student.vocabulary)


def start_memory(device: torch.device) -> None:
    """Start measuring the peak of the memory."""
    gc.collect()  # a Trainer has reference cycles, so only the collector frees it
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)


def peak_gib(device: torch.device) -> float:
    """The peak memory of tensors on a GPU since :func:`start_memory`, or on a CPU the process's peak, in GiB."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**30
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20  # KiB on Linux
