"""The lines in which ``stillhouse init`` shows what a source holds, and what a run of it takes on this machine."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from datasets import Dataset

from stillhouse.data.class_names import combined_names, similar_names
from stillhouse.data.inspection import Counts
from stillhouse.data.inspection.counts import FEW_TEXTS
from stillhouse.data.language import check_language, language_warning
from stillhouse.distillation.teaching import MIN_TEXTS
from stillhouse.errors import listed
from stillhouse.models.device import choose_device
from stillhouse.models.reading_time import reading_time
from stillhouse.params import Params
from stillhouse.pipeline.room import needed_bytes

SAMPLE = 500  # texts whose tokens are counted
PASSES = 3  # a step of training takes about as long as three readings: one forward, two for the gradients


def report(counts: Counts, params: Params) -> Iterator[str]:
    """Yield the lines: format, columns, texts, classes, what is dropped, lengths, language, time and disk."""
    data = params.data
    for name, settings in counts.formats.items():
        yield f"{name}: " + ", ".join(f"{key} {'tab' if value == chr(9) else value}" for key, value in settings.items())
    yield f"text column: {data.text_column!r}"
    yield f"label column: {data.label_column!r}" if data.label_column else "label column: none, no text has a label"
    yield "rows: " + ", ".join(f"{number:,} {split}" for split, number in counts.rows.items())
    dropped = {
        "without a text": counts.blank,
        "with a text but no label": counts.dropped["empty"] - counts.blank,
        "duplicates": counts.dropped["duplicate"],
        "duplicates with another label": counts.dropped["duplicate with another label"],
    }
    yield "dropped: " + ", ".join(f"{number:,} {reason}" for reason, number in dropped.items())
    yield "split: " + ", ".join(f"{number:,} {split}" for split, number in counts.texts.items())
    if counts.without_labels:
        yield f"texts without labels: {counts.without_labels:,}. The student learns from them, too"
    yield from _classes(counts, params)
    middle, long = np.percentile(counts.lengths, [50, 90]) if len(counts.lengths) else (0, 0)
    yield f"characters of a text: {middle:,.0f} (median), {long:,.0f} (nine in ten have fewer)"
    texts = _sample(counts)
    yield from _language(texts, params)
    yield from _time(counts, texts, params)
    free, copies = shutil.disk_usage(Path()).free, 2 * counts.total_bytes
    yield (
        f"disk: the prepared texts and DVC's copy take about {copies / 1e6:,.1f} MB; a run starts if "
        f"{needed_bytes() / 1e9:.1f} GB are free ({free / 1e9:,.0f} are)"
    )


def _sample(counts: Counts) -> list[str]:
    places = range(0, len(counts.train), max(1, len(counts.train) // SAMPLE))
    return [text for text in counts.train.select(places)["text"] if text and text.strip()]


def _language(texts: list[str], params: Params) -> Iterator[str]:
    for settings in params.teacher.each:
        if found := check_language(settings, Dataset.from_dict({"text": texts})):
            yield f"language: {found} by the tokenizer of the teacher {settings.model}"
            if found.is_doubtful:
                yield f"note: {language_warning(settings, found)}"
        else:
            yield f"language: not checked, because the tokenizer of the teacher {settings.model} is not on this machine"


def _classes(counts: Counts, params: Params) -> Iterator[str]:
    if not params.data.label_column:
        yield "classes, by data.classes: " + listed(list(params.data.classes or {}))
        return
    names = list(counts.classes)
    yield f"classes: {len(names)}: " + listed([f"{name} ({number:,})" for name, number in counts.classes.items()])
    if counts.rare:
        rare = listed([f"{name} ({counts.classes[name]})" for name in counts.rare])
        yield f"note: classes with fewer than {FEW_TEXTS} texts, too few to learn them well: {rare}"
    for one, other in similar_names(names):
        yield f"note: the classes {one!r} and {other!r} look the same. Should they be one?"
    for name, mark in combined_names(names):
        joined = f"note: the class {name!r} is other classes joined by {mark!r}"
        yield f"{joined}; texts with several labels are not supported"


def _time(counts: Counts, texts: list[str], params: Params) -> Iterator[str]:
    """Yield how long the teacher takes, from a speed that is measured here. The rest of a run is not estimated."""
    device = choose_device(params.device)
    total = sum(counts.texts.values()) + counts.without_labels
    for settings in params.teacher.each:
        reading = reading_time(settings, texts, device) if texts else None
        if reading is None:
            yield f"time: not estimated, because the sizes of the teacher {settings.model} are not on this machine"
            continue
        yield (
            f"time: the teacher {settings.model} reads {total:,} texts of {reading.tokens:.0f} tokens in about "
            f"{_duration(total * reading.seconds)} ({reading.device}, measured here with products of matrices: "
            f"{reading.operations_per_second / 1e9:,.0f} billion operations a second)"
        )
        auto = settings.finetune == "auto" and counts.texts["validation"] >= MIN_TEXTS and params.data.label_column
        if auto or settings.finetune is True:
            steps = settings.epochs * PASSES * counts.texts["train"]
            yield f"time: fine-tuning the teacher takes about {_duration(steps * reading.seconds)} more, at most"
    yield "time: a run also trains control and students, which depends on the sizes it tries and is not estimated"


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
