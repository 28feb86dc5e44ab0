"""Texts, teachers and splits for the parts, from files that were carried or from the packaged sample."""

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
from transformers import AutoConfig, AutoTokenizer, BertConfig, BertForSequenceClassification

from benchmarks.gpu.bare import CARRIED
from benchmarks.gpu.job import Job
from stillhouse.data.sample import sample_teacher, sample_texts
from stillhouse.data.vocabulary import learn_vocabulary
from stillhouse.models.pretrained import load_pretrained
from stillhouse.models.teacher import Teacher
from stillhouse.params import Teacher as Settings

SEED = 13
SAVED = "teacher"  # the fine-tuned one, in the run's folder
ANSWERS = "answers"  # the teacher's, as logits.npy and features.npy

disable_progress_bars()


def texts(job: Job) -> tuple[list[str], list[str]]:
    """All texts and their labels, in an order that a seed draws."""
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
    """The folder of the packaged teacher: given, carried (fp16), or of the installed sample (fp32)."""
    carried = CARRIED / "teacher"
    return job.teacher or (carried if carried.is_dir() else sample_teacher())


def stored(job: Job) -> str:
    """The precision of the packaged teacher's weights in their file."""
    with safe_open(checkpoint(job) / "model.safetensors", framework="pt") as file:
        names = list(file.keys())
        return f"stored in {str(file.get_tensor(names[-1]).dtype).removeprefix('torch.')}"


def splits(job: Job, count: int) -> tuple[Dataset, Dataset]:
    """``count`` texts to train on (again from the first where there are fewer), and the next quarter to validate on."""
    found, labels = texts(job)
    held, names = max(min(len(found) // 4, count // 4), 8), sorted(set(labels))
    return _dataset(found[held:], labels[held:], count, names), _dataset(found[:held], labels[:held], held, names)


def _dataset(found: list[str], labels: list[str], count: int, names: list[str]) -> Dataset:
    rows = [row % len(found) for row in range(count)]
    dataset = Dataset.from_dict({"text": [found[r] for r in rows], "label": [names.index(labels[r]) for r in rows]})
    return dataset.cast_column("label", ClassLabel(names=names))


def packaged(job: Job, names: list[str], **changes: Any) -> tuple[Teacher, Settings]:
    """The packaged teacher with a new head, and the parameters that it is fine-tuned by."""
    folder, settings = checkpoint(job), job.params.teacher
    layers = AutoConfig.from_pretrained(folder, local_files_only=True).num_hidden_layers
    shape = {"max_length": job.sizes.length, "freeze_layers": min(settings.freeze_layers, layers - 1)}
    settings = settings.model_copy(update={"model": str(folder), **shape, **changes})
    torch.manual_seed(SEED)
    return load_pretrained(settings, names), settings


def random_bert(job: Job, names: list[str], **changes: Any) -> tuple[Teacher, Settings]:
    """A BERT with random weights and the packaged teacher's tokenizer, and the parameters that it is fine-tuned by."""
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
    """A teacher's shape and where its weights are from."""
    own = sum(parameter.numel() for parameter in teacher.model.parameters()) / 1e6
    return f"{teacher.model.config.num_hidden_layers} layers of {teacher.model.config.hidden_size}, {own:.1f} M weights"


def work_per_text(teacher: Teacher, tokens: float, training: bool) -> float:
    """Floating-point operations for a text of ``tokens`` tokens, padding and look-ups not counted.

    Two for each weight of a layer and token, and 4 x layers x width x tokens for attention's two products; training
    takes three times that (A. Chowdhery et al., "PaLM", 2022, arXiv:2204.02311, appendix B). Every
    weight is taken as trained.
    """
    config, tables = teacher.model.config, teacher.model.base_model.embeddings
    looked_up = sum(parameter.numel() for parameter in tables.parameters())
    weights = sum(parameter.numel() for parameter in teacher.model.parameters()) - looked_up
    forward = 2 * weights * tokens + 4 * config.num_hidden_layers * config.hidden_size * tokens**2
    return float(forward * (3 if training else 1))


def mean_tokens(teacher: Teacher, found: list[str]) -> float:
    """Tokens that the teacher reads of a text, the mean."""
    return float(np.mean([len(ids) for ids in teacher.tokens(found)["input_ids"]]))


def student_vocabulary(job: Job, train: Dataset) -> Tokenizer:
    """A student's word pieces, learnt from ``train``."""
    return learn_vocabulary(train["text"], job.params.student.vocabulary)


def start_memory(device: torch.device) -> None:
    """Measure the peak from now on."""
    gc.collect()  # a Trainer holds itself
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)


def peak_gib(device: torch.device) -> float:
    """The most memory that tensors had on a GPU since :func:`start_memory`; else the process's peak."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**30
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20  # KiB on Linux
