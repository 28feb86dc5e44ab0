"""What the data looked like the last time: a cut-off export is refused, and the report shows what moved.

A portrait is a few numbers and the commonest words. That of the last finished ``prepare`` of the same source lies in
the project's state, outside of what DVC keeps: it says how things became, which no input of a stage does.
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

WORDS = 5000  # the commonest, that a portrait keeps
LOOKED_AT = 20_000  # texts whose words are counted, evenly spread
CLASSES = 12  # whose share moved most, in the report
Portrait = dict[str, Any]


def portrait(splits: Iterable[Split], names: list[str], unlabelled: int) -> Portrait:
    """Texts, labelled texts of each class, words a text, and the commonest words; ``unlabelled`` texts are counted."""
    splits = list(splits)
    labels: Counter[str] = Counter()
    words: Counter[str] = Counter()
    lengths: list[int] = []
    rows = sum(len(split.rows) for split in splits)
    for split in splits:
        labels.update(names[label] for label in split.labels.tolist())
        chosen = split.rows[:: max(1, rows // LOOKED_AT)]
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


class Memory:
    """The last two portraits of one source, in ``folder``."""

    def __init__(self, folder: Path, data: Data) -> None:
        source = [data.source, data.path, data.hub_id, data.hub_config, data.text_column, data.label_column]
        self._file = folder / f"{hashlib.md5(json.dumps(source).encode()).hexdigest()[:12]}.json"

    def read(self) -> dict[str, Portrait]:
        """``now`` and ``before``, as far as there are any."""
        try:
            found: dict[str, Portrait] = json.loads(self._file.read_text(encoding="utf-8"))
        except (OSError, ValueError):  # a lost memory is no reason to stop
            return {}
        return found if isinstance(found, dict) else {}

    def keep(self, now: Portrait) -> None:
        """Let ``now`` be the last portrait; the same again changes nothing."""
        kept = self.read()
        known = {key: value for key, value in kept.get("now", {}).items() if key in now}
        if known != json.loads(json.dumps(now)):
            self._write({"now": now} | ({"before": kept["now"]} if "now" in kept else {}))

    def add(self, **more: Any) -> None:
        """Add to the last portrait what a later stage found out."""
        if "now" in (kept := self.read()):
            self._write({**kept, "now": {**kept["now"], **more}})

    def _write(self, content: dict[str, Portrait]) -> None:
        self._file.parent.mkdir(parents=True, exist_ok=True)
        with replacing(self._file) as partial:
            partial.write_text(json.dumps(content), encoding="utf-8")


def refuse_loss(before: Portrait | None, now: Portrait, data: Data) -> None:
    """Refuse data that shrank more than ``data.max_shrink`` allows, or that lost a class.

    Raises:
        BadInput: with both numbers, and what to set where it is meant so.
    """
    if before is None:
        return
    if data.max_shrink is not None and now["texts"] < (1 - data.max_shrink) * before["texts"]:
        lost = 1 - now["texts"] / before["texts"]
        raise BadInput(
            f"data: {now['texts']:,} texts, {lost:.0%} fewer than the last time ({before['texts']:,}). Is the export "
            "complete? If it is meant so, raise data.max_shrink, or set it to null."
        )
    lost_classes = [name for name in before["labels"] if name not in now["labels"]]
    if lost_classes and data.lost_classes == "error":
        raise BadInput(
            f"data: no text has the label {listed(lost_classes)} any more, which the last time some had. Is the export "
            "complete? If it is meant so, set data.lost_classes: keep."
        )


def moved(before: Portrait, now: Portrait) -> list[list[str]]:
    """Rows for the report, the first the heading: what, the last time, this time."""
    rows = [["", "the last time", "now"]]
    rows += [[what, f"{before[what]:,}", f"{now[what]:,}"] for what in ("texts", "median words")]
    own, other = (_share(one, before["words"]["common"]) for one in (before, now))
    rows.append(["words that are not among the commonest of the last time", f"{1 - own:.1%}", f"{1 - other:.1%}"])
    if "confidence" in before and "confidence" in now:
        rows.append(["the teacher's mean confidence on the test texts"])
        rows[-1] += [f"{one['confidence']:.1%}" for one in (before, now)]
    shares = [_shares(one["labels"]) for one in (before, now)]
    names = sorted(shares[0] | shares[1], key=lambda name: -abs(shares[0].get(name, 0) - shares[1].get(name, 0)))
    for name in names[:CLASSES]:
        told = [f"{one[name]:.1%}" if name in one else "none" for one in shares]
        if told[0] != told[1]:
            rows.append([f"labelled {name}", *told])
    return rows


def _shares(counts: dict[str, int]) -> dict[str, float]:
    return {name: count / sum(counts.values()) for name, count in counts.items()}


def _share(one: Portrait, common: dict[str, int]) -> float:
    """How many of the words that ``one`` keeps are among ``common``, of all that it has."""
    known = sum(count for word, count in one["words"]["common"].items() if word in common)
    return float(known / max(one["words"]["all"], 1))
