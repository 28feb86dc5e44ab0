"""Stage ``prepare``: clean a source of labelled texts, remove duplicates, split them, and write a data card."""

import logging
import shutil

import numpy as np
from datasets import Dataset

from stillhouse.data.added import WithAdded, add_labels, read_added
from stillhouse.data.card import data_card
from stillhouse.data.class_names import combined_names, similar_names
from stillhouse.data.cleaning import Cleaned, clean
from stillhouse.data.drift import SummaryStore, refuse_loss, summarise
from stillhouse.data.language import warn_about_language
from stillhouse.data.sources import load_source
from stillhouse.data.splits import MIN_TEXTS, Split, read_split, write_split, write_texts
from stillhouse.data.splitting import complete, few_labels, hold_out, train_on_all
from stillhouse.errors import BadInput, listed
from stillhouse.files import write_json
from stillhouse.params import Data, load_params
from stillhouse.pipeline.context import Context
from stillhouse.pipeline.stage import Metrics, command
from stillhouse.project import DATA_SUMMARIES, STATE

logger = logging.getLogger(__name__)
NAMED = 8  # most warnings of one kind


def prepare(context: Context) -> Metrics:
    """Write ``card.json`` and the splits ``train``, ``validation``, ``test``, ``unlabelled`` and ``heldout``."""
    data, out = context.params.data, context.out
    cache = STATE / "datasets"
    shutil.rmtree(cache, ignore_errors=True)
    source = load_source(data, cache)
    cleaned = clean(source, data)
    splits = complete(cleaned.splits, data, context.params.seed)
    cleaned.splits.clear()  # their memory is needed
    memory = SummaryStore(DATA_SUMMARIES, data)
    without = len(cleaned.unlabelled) + len(cleaned.nameless)
    looks = summarise(splits.values(), cleaned.label_names + cleaned.unseen, without)
    refuse_loss(memory.read().get("now"), looks, data)
    draw = context.params.seed if data.labels_seed is None else data.labels_seed
    splits, nameless = few_labels(splits, data.label_limit, draw)
    labelled, most = sum(len(splits[name].rows) for name in ("train", "validation")), data.label_limit
    unlabelled = [(split.dataset, split.rows) for split in nameless]
    unlabelled += [(source.unlabelled, cleaned.unlabelled)] if source.unlabelled is not None else []
    unlabelled += [(source.splits["train"], cleaned.nameless)] if len(cleaned.nameless) else []
    added = _add_labels(splits, unlabelled, cleaned, data)
    splits, unlabelled = added.splits, added.unlabelled
    splits = train_on_all(splits, sum(len(rows) for _, rows in unlabelled))
    for name, split in splits.items():
        names = added.label_names + (added.unseen if name == "test" else [])
        write_split(split, names, out / f"{name}.arrow")
        context.run.dataset(out / f"{name}.arrow", name)
    heldout: list[tuple[Dataset, np.ndarray]] = []
    if not len(splits["validation"].rows):
        unlabelled, heldout = hold_out(unlabelled, context.params.seed)
    write_texts(unlabelled, out / "unlabelled.arrow")
    write_texts(heldout, out / "heldout.arrow")
    texts, held = (sum(len(rows) for _, rows in parts) for parts in (unlabelled, heldout))
    card = data_card(
        splits, added.label_names, added.unseen, cleaned.dropped, texts, held, source.formats, added.counts
    )
    write_json(out / "card.json", card)
    context.run.artifact(out / "card.json")
    shutil.rmtree(cache, ignore_errors=True)
    memory.store(looks)
    rows = {name: len(split.rows) for name, split in splits.items()}
    reasons = dict.fromkeys(reason for counts in cleaned.dropped.values() for reason in counts)
    dropped = {reason: sum(counts.get(reason, 0) for counts in cleaned.dropped.values()) for reason in reasons}
    counts = {**rows, "unlabelled": texts, "held out": held}
    logger.info("texts: %s", ", ".join(f"{count} {name}" for name, count in counts.items()))
    if not rows["train"]:
        logger.info("no text has a label for training: the stage label makes the first labels")
    if not data.without_labels:
        logger.info(
            "labels used: %d of %d (data.labels_per_class: %s: %s)",
            labelled,
            labelled + sum(len(split.rows) for split in nameless),
            "null" if data.labels_per_class is None else data.labels_per_class,
            "all" if most is None else f"at most {most} a class",
        )
    if not rows["validation"] and rows["train"]:
        logger.info(
            "all labelled texts are used for training: fewer than %d validation texts cannot select a model", MIN_TEXTS
        )
    for name, mark in combined_names(added.label_names)[:NAMED]:
        logger.warning(
            "the class %r is other classes joined by %r. Each combination of labels is a separate class: texts with "
            "several labels are not supported",
            name,
            mark,
        )
    for one, other in similar_names(added.label_names)[:NAMED]:
        logger.warning("the classes %r and %r look the same. Should they be one? They stay separate", one, other)
    if added.unseen:
        logger.warning("labels of test that train lacks, each counted as missed: %s", listed(added.unseen))
    logger.info("dropped: %s", ", ".join(f"{count} {reason}" for reason, count in dropped.items()))
    # Only a log message depends on `teacher`, so it is not a parameter of this stage: a change would rerun the stage.
    shown = read_split(out / f"{'train' if rows['train'] else 'unlabelled'}.arrow")
    for settings in load_params().teacher.each:
        warn_about_language(settings, shown)
    return {"classes": card["classes"], "rows": rows, "unlabelled": texts, "held_out": held, "dropped": dropped}


def _add_labels(
    splits: dict[str, Split], unlabelled: list[tuple[Dataset, np.ndarray]], cleaned: Cleaned, data: Data
) -> WithAdded:
    """Give texts the labels of ``data.added_labels``, and log their number."""
    file = data.added_labels
    added = add_labels(splits, unlabelled, cleaned.label_names, cleaned.unseen, read_added(file))
    if any(added.counts.values()):
        logger.info("labels of %s: %s", file, ", ".join(f"{count} {name}" for name, count in added.counts.items()))
    if added.new and data.classes is not None:
        raise BadInput(
            f"{file} (data.added_labels) has labels that are not in data.classes: {listed(added.new)}. Add them there, "
            "or correct the file."
        )
    if added.new:
        logger.warning("classes that %s adds: %s", file, listed(added.new))
    classes = np.unique(added.splits["train"].labels)
    if data.without_labels and len(classes) == 1:
        raise BadInput(
            f"{file} (data.added_labels): all labels are {added.label_names[classes[0]]!r}, and the data have no other "
            "labels. Label a text of another class."
        )
    return added


if __name__ == "__main__":
    command("prepare", prepare)
