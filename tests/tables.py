"""Tables of users for ``stillhouse init``: the bytes of a file, its text column and its label column."""

import json

import pandas as pd
from material import texts_and_labels

ROWS = texts_and_labels(90)
TEXTS, LABELS = [text for text, _ in ROWS], [label for _, label in ROWS]


def frame(**columns):
    return pd.DataFrame(columns)


def table(separator, encoding, text="text", label="label", **others):
    """A delimited table as bytes, with columns before and after the text and the label."""
    columns = {"id": range(90), text: TEXTS, label: LABELS, **others}
    return frame(**columns).to_csv(index=False, sep=separator).encode(encoding)


DATES = [f"2024-{day % 12 + 1:02}-{day % 28 + 1:02}" for day in range(90)]
URLS = [f"https://example.org/{row}" for row in range(90)]
TABLES = {
    "comma.csv": (table(",", "utf-8"), "text", "label"),
    "semicolon.csv": (table(";", "utf-8-sig", "Nachricht", "Kategorie", Datum=DATES), "Nachricht", "Kategorie"),
    "pipe.txt": (table("|", "utf-8", "avis", "catégorie", lien=URLS), "avis", "catégorie"),
    "tabs.tsv": (table("\t", "utf-16", "отзыв", "метка", дата=DATES), "отзыв", "метка"),
    "excel.csv": (b"sep=;\r\n" + table(";", "utf-8", "文本", "类别"), "文本", "类别"),
    "unusual.csv": (table(";", "utf-8", "was", "wohin", wann=DATES, wo=URLS, nr=range(7, 97)), "was", "wohin"),
    "language.csv": (table(",", "utf-8", "body", "intent", lang=["en", "de", "fr"] * 30), "body", "intent"),
    "numbers.csv": (
        frame(review=TEXTS, stars=[1, 2, 3] * 30, label=[0, 1, 4] * 30).to_csv(index=False).encode(),
        "review",
        "label",
    ),
    "title.csv": (table(",", "utf-8", "content", "topic", title=[text[:20] for text in TEXTS]), "content", "topic"),
    "lines.jsonl": (
        "".join(
            json.dumps({"meta": {"a": row}, "tags": ["x"], "message": text, "class": label, "score": row / 7}) + "\n"
            for row, (text, label) in enumerate(ROWS)
        ).encode(),
        "message",
        "class",
    ),
}
