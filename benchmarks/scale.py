"""``python -m benchmarks.scale [texts ...]``: seconds and peak memory of each step, for 10,000 to 1,000,000 texts.

Each step is a process of its own (benchmarks/scale_steps.py). A stopped measurement continues where it was, as long as
the code is the same. The results are written to ``benchmarks/SCALE.md`` and ``benchmarks/scale.png``.
"""

import argparse
import json
import os
import shutil
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

from benchmarks.processes import child
from flows.shared.workspace import workspace
from stillhouse.evaluation.plots import save
from stillhouse.evaluation.report import as_markdown, machine
from stillhouse.files import replacing, write_json
from stillhouse.project import STATE
from stillhouse.provenance import file_md5, folder_md5

SIZES = [10_000, 100_000, 1_000_000]
STEPS = ["prepare", "control", "soft_labels", "student", "compress", "evaluate", "score"]
LABELS = 16  # labelled texts of each class
FOLDER = STATE / "scale"
PAGE, PICTURE = Path("benchmarks") / "SCALE.md", Path("benchmarks") / "scale.png"
BAG = {"architecture": "bag", "embedding": 64, "wide": {"embedding": 24, "buckets": 16384}}
CHANGES: dict[str, Any] = {
    "device": "cpu",
    "data": {"source": "files", "labels_per_class": LABELS},
    "soft_labels": {"second_teachers": 0},
    "student": {
        "size": "nano",
        "start": "random",
        "network": BAG,
        "training": {"epochs": 1, "min_updates": 0, "batch_size": 256},
    },
}
HEAD = """# More text than memory

Written by `python -m benchmarks.scale`; do not edit. Machine: {machine}. Command: `{command}`.{note}

Each step ran in a process of its own, in which its libraries take {base:,.0f} MB and some seconds. A text has 12 words
of the packaged sample, drawn by Zipf's law; there are 20 classes with 16 labelled texts each. The teacher's network is
replaced by random numbers, and so are the models that `evaluate` compares. The student is a bag of words that is
trained for one epoch. In `evaluate` and `score` all texts are test texts and texts to label. "Own" memory is the peak
without the pages of memory-mapped files (RssAnon of Linux), "peak" is with them (VmHWM): the system drops such pages
when it needs their memory.

![Seconds and memory of each step against the number of texts](scale.png)
"""


def code() -> str:
    """A digest of the code that a measurement depends on."""
    files = [*Path("benchmarks").glob("scale*.py"), Path("params.yaml")]
    return " ".join(
        [*(folder_md5(Path(name), "*.py") for name in ("stillhouse", "tasks", "flows")), *map(file_md5, files)]
    )


def measure(size: int, results: dict[str, Any], file: Path) -> None:
    """Measure the steps of one size that ``results`` lacks, and store each at once."""
    missing = [step for step in STEPS if f"{step} {size}" not in results]
    if not missing:
        return
    folder = FOLDER / str(size)
    changes = CHANGES | {"data": CHANGES["data"] | {"path": str((folder / "corpus" / "labelled.csv").resolve())}}
    workspace(folder, changes)
    environment = os.environ | {"PYTHONPATH": str(Path().resolve()), "HF_HUB_OFFLINE": "1"}
    first = [] if (folder / "corpus" / "complete").exists() else ["corpus"]
    for step in first + missing:
        command = [sys.executable, "-m", "benchmarks.scale_steps", step, str(size)]
        measured = asdict(child(command, FOLDER, cwd=folder, env=environment))
        if step == "corpus":
            (folder / "corpus" / "complete").touch()
            continue
        results[f"{step} {size}"] = {name: measured[name] for name in ("seconds", "cpu_s", "peak_mb", "own_mb")}
        with replacing(file) as partial:
            write_json(partial, results)
        numbers = ", ".join(f"{name} {value:.1f}" for name, value in results[f"{step} {size}"].items())
        print(f"{step}, {size:,} texts: {numbers}", flush=True)
    shutil.rmtree(folder)


def table(results: dict[str, Any], sizes: list[int], key: str) -> list[list[str]]:
    """The numbers of each step and size, and the last size's divided by those of the one before."""
    rows = [["step", *(f"{size:,} texts" for size in sizes), "ratio of the last two"]]
    for step in STEPS:
        numbers = [results[f"{step} {size}"][key] for size in sizes]
        ratio = f"{numbers[-1] / numbers[-2]:.2f}" if len(numbers) > 1 else ""
        rows.append(
            [
                step,
                *(f"{number:,.1f}" if key in ("seconds", "cpu_s") else f"{number:,.0f}" for number in numbers),
                ratio,
            ]
        )
    return rows


def draw(results: dict[str, Any], sizes: list[int], file: Path) -> None:
    """Draw seconds and own memory of each step against the number of texts."""
    figure, panels = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
    for axes, key, title in zip(panels, ("seconds", "own_mb"), ("seconds", "own memory, MB"), strict=True):
        for step in STEPS:
            axes.loglog(sizes, [results[f"{step} {size}"][key] for size in sizes], "o-", label=step)
        axes.set_xlabel("texts")
        axes.set_ylabel(title)
        axes.grid(alpha=0.25)
    panels[1].set_ylim(100, 10_000)
    panels[0].legend(frameon=False)
    save(figure, file)


def main() -> None:
    """Measure, and write the page and the picture."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale", description=__doc__)
    parser.add_argument("texts", nargs="*", type=int, default=SIZES, help="numbers of texts")
    parser.add_argument("--note", default="", help="a sentence for the page, for example on other work on the machine")
    options = parser.parse_args()
    sizes = sorted(options.texts)
    FOLDER.mkdir(parents=True, exist_ok=True)
    file = FOLDER / "results.json"
    stored = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    results = stored if stored.get("code") == code() else {"code": code()}
    for size in sizes:
        measure(size, results, file)
    draw(results, sizes, PICTURE)
    base = min(results[f"{step} {sizes[0]}"]["own_mb"] for step in STEPS)
    command = " ".join(["python -m benchmarks.scale", *(map(str, sizes if sizes != SIZES else []))])
    page = [HEAD.format(machine=machine(), command=command, base=base, note=f" {options.note}" if options.note else "")]
    for key, title in (
        ("seconds", "Seconds"),
        ("cpu_s", "Seconds of the processor"),
        ("own_mb", "Own memory, MB"),
        ("peak_mb", "Peak memory, MB"),
    ):
        page.append(f"\n## {title}\n\n{as_markdown(table(results, sizes, key))}\n")
    PAGE.write_text("".join(page), encoding="utf-8")
    print(PAGE.read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
