"""``python -m benchmarks.machine_labels [corpus ...]``: what labels of a machine add, by their share of right ones.

A simulated language model labels 500 texts: one single answer each, wrong at random. The pipeline's stages run with
these labels (``label.source: file``) and without them, on three draws of 16 labels a class. Results are in
``benchmarks/results/machine/``. A stopped measurement continues where it was.
"""

import argparse
import csv
import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.corpora import FEW, Case, cases, fetch
from benchmarks.results import write_results
from benchmarks.run import DAY_S, FOLDER, RESULTS, SEEDS, collect, run_stages
from flows.shared.workspace import workspace
from stillhouse.data.keys import text_key
from stillhouse.data.sample import sample_texts
from stillhouse.data.splits import label_names, labels_of, read_split
from stillhouse.evaluation.report import machine
from stillhouse.files import replacing
from stillhouse.labelling.choice import balanced
from stillhouse.pipeline.artefacts import path
from stillhouse.pipeline.runner import run_stage

TEXTS, AUDITED = 500, 50  # labels of the machine, of which so many are of texts with a known label
RIGHT = [0.9, 0.8, 0.7]
TRAIN, TEST = 2_000, 1_500  # texts of 20 Newsgroups: with all of them the twelve runs take five hours
CORPORA = ("bbc", "20ng")


def main() -> None:
    """Measure the corpora of the command line, all by default, and write RESULTS.md."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.machine_labels", description=__doc__)
    parser.add_argument("corpora", nargs="*", metavar="corpus", help=f"of {', '.join(CORPORA)}; all by default")
    parser.add_argument(
        "--seeds", type=int, nargs="+", default=SEEDS, help="of the draws of labels and everything else"
    )
    options = parser.parse_args()
    for name in options.corpora or CORPORA:
        result = measure(name, options.seeds)
        file = RESULTS / "machine" / f"{name}.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        with replacing(file) as partial:
            partial.write_text(json.dumps(result) + "\n", encoding="utf-8")
        write_results(RESULTS, RESULTS.parent / "RESULTS.md")


def measure(name: str, seeds: list[int]) -> dict[str, Any]:
    """Run the pipeline without a machine's labels and with them, for each draw."""
    case, truth = corpus(name)
    runs = []
    for seed in seeds:
        for right in (None, *RIGHT):
            runs.append(one(case, truth, seed, right))
            accuracies = {model: f"{100 * found['accuracy']:.2f}" for model, found in runs[-1]["models"].items()}
            print(f"{case.corpus.title}, draw {seed}, right {right}: {accuracies}", flush=True)
    command = f"python -m benchmarks.machine_labels {name}"
    return {"corpus": case.corpus.title, "machine": machine(), "command": command, "seeds": seeds, "runs": runs}


def corpus(name: str) -> tuple[Case, dict[bytes, str]]:
    """Return the case, and the label of each text by its key."""
    case, data = cases(FOLDER / "data")[f"{name}-{FEW}"], FOLDER / "data"
    if case.corpus.rows is None:
        rows = list(zip(*sample_texts(), strict=True))
        return case, {text_key(text): label for text, label in rows}
    fetch(case.corpus, data)
    part = data / f"{name}-part"
    rows = [
        row for split, count in (("train", TRAIN), ("test", TEST)) for row in _part(data / name, part, split, count)
    ]
    title = f"{case.corpus.title}, {TRAIN:,} training and {TEST:,} test texts"
    changed = replace(case.corpus, name=part.name, title=title, data=case.corpus.data | {"path": str(part.resolve())})
    return replace(case, corpus=changed), {text_key(text): label for text, label in rows}


def _part(source: Path, target: Path, split: str, count: int) -> list[tuple[str, str]]:
    """Write ``count`` random rows of a split to ``target``, and return them: text, label."""
    table = pd.read_csv(source / f"{split}.csv", dtype=str, keep_default_na=False)
    table = table.iloc[np.sort(np.random.default_rng(0).permutation(len(table))[:count])]
    target.mkdir(parents=True, exist_ok=True)
    table.to_csv(target / f"{split}.csv", index=False)
    return list(zip(table["text"], table["label"], strict=True))


def write_labels(folder: Path, truth: dict[bytes, str], seed: int, right: float) -> Path:
    """Write the labels of the simulated language model for texts of a prepared copy of the project."""
    train = read_split(path("prepare/train.arrow", folder))
    unlabelled = read_split(path("prepare/unlabelled.arrow", folder))
    random, names = np.random.default_rng(seed), label_names(train)
    known = balanced(labels_of(train), AUDITED, seed)
    rows = random.permutation(len(unlabelled))[: TEXTS - AUDITED]
    file = (folder / "machine.csv").resolve()
    with file.open("w", newline="", encoding="utf-8") as table:
        writer = csv.writer(table)
        writer.writerow(["text", "label"])
        for text in [*train.select(known)["text"], *unlabelled.select(rows)["text"]]:
            label = truth[text_key(text)]
            if random.random() >= right:
                label = str(random.choice([name for name in names if name != label]))
            writer.writerow([text, label])
    return file


def one(case: Case, truth: dict[bytes, str], seed: int, right: float | None) -> dict[str, Any]:
    """Run the stages once; ``right``: the share of the machine's labels that is right, None without its labels."""
    folder, changes = FOLDER / f"{case.name}-machine", case.changes(seed)
    start = time.perf_counter()
    if right is not None:
        workspace(folder, changes)
        run_stage("prepare", DAY_S, folder=folder)
        labels = write_labels(folder, truth, seed, right)
        changes |= {"label": {"source": "file", "path": str(labels), "audit": "warn"}}
    workspace(folder, changes)
    run_stages(folder)
    metrics = json.loads(path("label/metrics.json", folder).read_text(encoding="utf-8"))
    return collect(folder, seed) | {
        "right": right,
        "audit": metrics.get("audit"),
        "seconds": time.perf_counter() - start,
    }


if __name__ == "__main__":
    main()
