"""``python -m benchmarks.gpu.carry`` (``make gpu-wheels``): writes the files that a bare GPU machine needs to ``.gpu``.

They are wheels for Python 3.12 on Linux, the sample's texts, and its teacher with weights in half precision. Together
with the repository's files they must stay below 60 MiB.
"""

import gzip
import json
import shutil
import subprocess
import sys
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from benchmarks.gpu.bare import CARRIED, WHEELS
from stillhouse.data.sample import sample_teacher, sample_texts

PACKAGES = [
    "datasets",
    "dill",
    "multiprocess",
    "xxhash",
    "pydantic",
    "pydantic-core",
    "annotated-types",
    "typing-inspection",
    "typing-extensions",
    "ruamel.yaml",
]
PLATFORM = ["--python-version", "3.12", "--implementation", "cp", "--abi", "cp312"]
PLATFORM += ["--platform", "manylinux2014_x86_64", "--platform", "manylinux_2_17_x86_64"]
PLATFORM += ["--platform", "manylinux_2_28_x86_64"]
TEACHER_FILES = ["config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt"]
LIMIT_MIB = 60


def carry() -> None:
    """Write ``.gpu/wheels``, ``.gpu/teacher`` and ``.gpu/texts.jsonl.gz``; older ones are deleted."""
    shutil.rmtree(CARRIED, ignore_errors=True)
    WHEELS.mkdir(parents=True)
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", *PLATFORM]
    subprocess.run([*command, "-c", "constraints.txt", "--dest", str(WHEELS), *PACKAGES], check=True)
    _teacher(sample_teacher(), CARRIED / "teacher")
    texts, labels = sample_texts()
    with gzip.open(CARRIED / "texts.jsonl.gz", "wt", encoding="utf-8") as file:
        for text, label in zip(texts, labels, strict=True):
            file.write(json.dumps({"text": text, "label": label}) + "\n")


def _teacher(source: Path, folder: Path) -> None:
    (folder / "1_Pooling").mkdir(parents=True)
    for name in [*TEACHER_FILES, "1_Pooling/config.json"]:
        shutil.copy(source / name, folder / name)
    weights = load_file(source / "model.safetensors")
    halved = {name: tensor.half() if tensor.is_floating_point() else tensor for name, tensor in weights.items()}
    assert all(bool(torch.isfinite(tensor).all()) for tensor in halved.values() if tensor.is_floating_point())
    file = folder / "model.safetensors"
    save_file(halved, file, metadata={"format": "pt"})
    file.chmod(0o644)  # so that another user can read it on the GPU machine


def size_mib() -> float:
    """The size in MiB of ``.gpu/`` and of the files that Git tracks."""
    tracked = subprocess.run(["git", "ls-files", "-z"], capture_output=True, text=True, check=True).stdout.split("\0")
    files = [*(file for file in CARRIED.rglob("*") if file.is_file()), *(Path(name) for name in tracked if name)]
    return sum(file.stat().st_size for file in files if file.exists()) / 2**20


if __name__ == "__main__":
    carry()
    mib = size_mib()
    if mib > LIMIT_MIB:
        sys.exit(f"{CARRIED} and the repository have {mib:.1f} MiB, more than {LIMIT_MIB}.")
    print(f"{CARRIED}: {len(list(WHEELS.glob('*.whl')))} wheels, texts, teacher; {mib:.1f} MiB with the repository")
