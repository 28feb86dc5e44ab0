"""Stage ``prepare``: a source of labelled texts -> clean, de-duplicated, stratified splits and a data card."""

import shutil

from tasks.stage import STATE, Context, Metrics, Stage, write_json

STAGE = Stage("prepare", retries=True)


def prepare(context: Context) -> Metrics:
    """Write ``train.arrow``, ``validation.arrow``, ``test.arrow``, ``unlabelled.arrow`` and ``card.json``."""
    from stillhouse.data.card import data_card
    from stillhouse.data.cleaning import clean
    from stillhouse.data.sources import load_source
    from stillhouse.data.splits import write_split, write_texts
    from stillhouse.data.splitting import complete

    data, out = context.params.data, context.out
    cache = STATE / "datasets"
    shutil.rmtree(cache, ignore_errors=True)
    source = load_source(data, cache)
    cleaned = clean(source, data)
    splits = complete(cleaned.splits, data, context.params.seed)
    for name, split in splits.items():
        write_split(split, cleaned.label_names, out / f"{name}.arrow")
        context.run.dataset(out / f"{name}.arrow", name)
    write_texts(source.unlabelled, cleaned.unlabelled, out / "unlabelled.arrow")
    card = data_card(splits, cleaned.label_names, cleaned.dropped, len(cleaned.unlabelled))
    write_json(out / "card.json", card)
    context.run.artifact(out / "card.json")
    shutil.rmtree(cache, ignore_errors=True)
    rows = {name: len(split.rows) for name, split in splits.items()}
    reasons = next(iter(cleaned.dropped.values()))
    dropped = {reason: sum(counts[reason] for counts in cleaned.dropped.values()) for reason in reasons}
    print("texts:", ", ".join(f"{count} {name}" for name, count in rows.items()))
    print("dropped:", ", ".join(f"{count} {reason}" for reason, count in dropped.items()))
    return {"classes": card["classes"], "rows": rows, "dropped": dropped}


if __name__ == "__main__":
    STAGE.command(prepare)
