"""Compares the data with the data of the last run: refuses a truncated export, and shows changes in the report.

A summary holds a few numbers and the most common words. The summary of the last finished ``prepare`` of the same source
is in the project's state folder, not in DVC. It describes an earlier run, so it is no input of a stage.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from stillhouse.data.splits import Split
from stillhouse.data.terms import words_of
from stillhouse.errors import BadInput, listed
from stillhouse.files import replacing
from stillhouse.params import Data
from stillhouse.task import NO_LABEL

WORDS = 5000  # most common words in a summary
SAMPLE = 20_000  # texts whose words are counted, evenly spread
CLASSES = 12  # in the report: those whose share changed most
Summary = dict[str, Any]


def summarise(splits: Iterable[Split], names: list[str], unlabelled: int) -> Summary:
    """Summarise the data: number of texts, labelled texts of each class, words a text, the most common words.

    Args:
        splits: the labelled texts.
        names: the classes, by class number.
        unlabelled: number of texts without a label.
    """
    splits = list(splits)
    labels: Counter[str] = Counter()
    words: Counter[str] = Counter()
    lengths: list[int] = []
    rows = sum(len(split.rows) for split in splits)
    for split in splits:
        for start in range(0, len(split.labels), 1000):  # a list of all would need 8 bytes a text
            numbers = split.labels[start : start + 1000].tolist()
            labels.update(names[number] for number in numbers if number != NO_LABEL)
        chosen = split.rows[:: max(1, rows // SAMPLE)]
        for start in range(0, len(chosen), 1000):
            for text in split.dataset[chosen[start : start + 1000].tolist()]["text"]:
                found = words_of(text.lower())
                lengths.append(len(found))
                words.update(found)
    common = dict(sorted(words.most_common(WORDS)))
    return {
        "texts": rows + unlabelled,
        "labels": dict(sorted(labels.items())),
        "median words": int(np.median(lengths)),
        "words": {"all": words.total(), "common": common},
    }


class SummaryStore:
    """The last two summaries of one source, in a file in ``folder``."""

    def __init__(self, folder: Path, data: Data) -> None:
        source = [data.source, data.path, data.hub_id, data.hub_config, data.text_column, data.label_column]
        self._file = folder / f"{hashlib.md5(json.dumps(source).encode()).hexdigest()[:12]}.json"

    def read(self) -> dict[str, Summary]:
        """Return the last summary as ``now`` and the one before it as ``before``, as far as they exist."""
        try:
            found: dict[str, Summary] = json.loads(self._file.read_text(encoding="utf-8"))
        except (OSError, ValueError):  # without a summary only the comparison is missing
            return {}
        return found if isinstance(found, dict) else {}

    def store(self, now: Summary) -> None:
        """Store ``now`` as the last summary. An equal summary changes nothing."""
        stored = self.read()
        last = {key: value for key, value in stored.get("now", {}).items() if key in now}
        if last != json.loads(json.dumps(now)):
            self._write({"now": now} | ({"before": stored["now"]} if "now" in stored else {}))

    def add(self, **more: Any) -> None:
        """Add values of a later stage to the last summary."""
        if "now" in (stored := self.read()):
            self._write({**stored, "now": {**stored["now"], **more}})

    def _write(self, content: dict[str, Summary]) -> None:
        self._file.parent.mkdir(parents=True, exist_ok=True)
        with replacing(self._file) as partial:
            partial.write_text(json.dumps(content), encoding="utf-8")


def refuse_loss(before: Summary | None, now: Summary, data: Data) -> None:
    """Refuse data that shrank by more than ``data.max_shrink`` or that lost a class.

    Raises:
        BadInput: the message has both numbers and the setting that accepts the change.
    """
    if before is None:
        return
    if data.max_shrink is not None and now["texts"] < (1 - data.max_shrink) * before["texts"]:
        lost = 1 - now["texts"] / before["texts"]
        raise BadInput(
            f"data: {now['texts']:,} texts, {lost:.0%} fewer than the last time ({before['texts']:,}). Is the export "
            "complete? If this is intended, raise data.max_shrink, or set it to null."
        )
    lost_classes = [name for name in before["labels"] if name not in now["labels"]]
    if lost_classes and data.lost_classes == "error":
        raise BadInput(
            f"data: no text has the label {listed(lost_classes)} any more. Some had it the last time. Is the export "
            "complete? If this is intended, set data.lost_classes: keep."
        )


def changes(before: Summary, now: Summary) -> list[list[str]]:
    """Return rows for the report: what, its value in the last run, its value now. The first row is the heading."""
    rows = [["", "the last time", "now"]]
    rows += [[what, f"{before[what]:,}", f"{now[what]:,}"] for what in ("texts", "median words")]
    was, is_now = (_share(one, before["words"]["common"]) for one in (before, now))
    rows.append(["words that are not among the commonest of the last time", f"{1 - was:.1%}", f"{1 - is_now:.1%}"])
    if "confidence" in before and "confidence" in now:
        rows.append(["the teacher's mean confidence on the test texts"])
        rows[-1] += [f"{one['confidence']:.1%}" for one in (before, now)]
    shares = [_shares(one["labels"]) for one in (before, now)]
    names = sorted(shares[0] | shares[1], key=lambda name: -abs(shares[0].get(name, 0) - shares[1].get(name, 0)))
    for name in names[:CLASSES]:
        cells = [f"{one[name]:.1%}" if name in one else "none" for one in shares]
        if cells[0] != cells[1]:
            rows.append([f"labelled {name}", *cells])
    return rows


def _shares(counts: dict[str, int]) -> dict[str, float]:
    return {name: count / sum(counts.values()) for name, count in counts.items()}


def _share(one: Summary, common: dict[str, int]) -> float:
    """Share of all words of ``one`` that are in ``common``; only the stored words of ``one`` are looked up."""
    known = sum(count for word, count in one["words"]["common"].items() if word in common)
    return float(known / max(one["words"]["all"], 1))
