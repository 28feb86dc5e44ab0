"""``python -m benchmarks.run [corpus ...]``: the defaults, but for ``TEACHER``, on three corpora, over several seeds.

For each corpus one teacher is trained, and for each seed a control and a student, through the pipeline's own
stages in a copy of the project (``.stillhouse/bench/<corpus>``). A corpus that was stopped goes on where it
was; one whose code and parameters did not change is not run again. Results lie in ``benchmarks/results/``.
"""

import argparse
import csv
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.corpora import Corpus, corpora, fetch
from benchmarks.results import pack, write_results
from flows.workspace import workspace
from stillhouse.evaluation.metrics import macro_f1
from stillhouse.evaluation.report import machine
from stillhouse.params import STAGES
from tasks import evaluate
from tasks.runner import run_stage
from tasks.stage import OUTPUTS, STATE

SEEDS = [13, 14, 15]
ROOM = STATE / "bench"
RESULTS = Path("benchmarks") / "results"
DAY_S = 86_400.0
PEER = "Model2Vec classifier"
# What the published results were measured with; the defaults leave one layer more of the teacher as it is.
TEACHER = {"freeze_layers": 3, "learning_rate": 1.5e-4}


def measure(corpus: Corpus, seeds: list[int], extra: dict[str, Any]) -> dict[str, Any]:
    """Run the pipeline for every seed of the student; each model's answers, quality and speed."""
    fetch(corpus, ROOM / "data")
    runs = []
    for seed in seeds:
        changes = merge({**corpus.changes, "teacher": TEACHER, "student": {"training": {"seed": seed}}}, extra)
        folder = workspace(ROOM / corpus.name, changes)
        start = time.perf_counter()
        for stage in STAGES[: STAGES.index("register")]:
            run_stage(stage, DAY_S, folder=folder)
        if not evaluate.is_timed(folder / evaluate.STAGE.folder):  # brought back by DVC from another run
            run_stage("evaluate", DAY_S, force=True, folder=folder)
        runs.append(collect(folder, seed) | {"seconds": time.perf_counter() - start})
        runs[-1]["models"][PEER] = peer(folder, seed)
    return {
        "corpus": corpus.title,
        "machine": machine(),
        "command": f"python -m benchmarks.run {corpus.name}",
        "seeds": seeds,
        "labels": runs[0]["labels"],
        "runs": runs,
    }


def collect(folder: Path, seed: int) -> dict[str, Any]:
    """What evaluate left: answers as class numbers, metrics, speed."""
    place = folder / evaluate.STAGE.folder
    metrics = json.loads((place / "metrics.json").read_text(encoding="utf-8"))["models"]
    speed = json.loads((place / "speed.json").read_text(encoding="utf-8"))["models"]
    rows, numbers = answers_of(folder)
    models = {
        name: metrics[name] | speed[name] | {"answers": pack([numbers.get(row[name], -1) for row in rows])}
        for name in metrics
    }
    return {"seed": seed, "labels": pack([numbers[row["label"]] for row in rows]), "models": models}


def answers_of(folder: Path) -> tuple[list[dict[str, str]], dict[str, int]]:
    """Every model's answers to each test text, by column, and the number of each class."""
    with (folder / OUTPUTS / "evaluate" / "answers.csv").open(newline="", encoding="utf-8") as table:
        rows = list(csv.DictReader(table))
    return rows, {name: number for number, name in enumerate(sorted({row["label"] for row in rows}))}


def peer(folder: Path, seed: int) -> dict[str, Any]:
    """The peer's answers on the same split, from a process of its own; kept beside the outputs."""
    file = (folder / f"peer-{seed}.json").resolve()
    if not file.exists():
        command = [sys.executable, "-m", "benchmarks.peers", str((folder / OUTPUTS).resolve()), str(seed), str(file)]
        subprocess.run(command, check=True)
    result = json.loads(file.read_text(encoding="utf-8"))
    rows, numbers = answers_of(folder)
    labels = np.array([numbers[row["label"]] for row in rows])
    answers = np.array([numbers.get(answer, -1) for answer in result["answers"]])
    teacher = np.array([numbers.get(row["teacher"], -1) for row in rows])
    return result | {
        "answers": pack(answers.tolist()),
        "accuracy": float((answers == labels).mean()),
        "macro_f1": macro_f1(labels, answers),
        "teacher_agreement": float((answers == teacher).mean()),
    }


def merge(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """``other`` over ``one``, section by section."""
    result = dict(one)
    for key, value in other.items():
        both = isinstance(value, dict) and isinstance(result.get(key), dict)
        result[key] = merge(result[key], value) if both else value
    return result


def main() -> None:
    """Measure the named corpora (all by default), then write RESULTS.md from all that was measured."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.run", description=__doc__)
    known = corpora(ROOM / "data")
    parser.add_argument("corpora", nargs="*", metavar="corpus", help=f"of {', '.join(known)}; all by default")
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS, help="of control and student")
    options = parser.parse_args()
    if unknown := set(options.corpora) - known.keys():
        parser.error(f"unknown corpus {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    RESULTS.mkdir(parents=True, exist_ok=True)
    for name in options.corpora or known:
        result = measure(known[name], options.seeds, {})
        partial = RESULTS / f"{name}.partial"
        partial.write_text(json.dumps(result) + "\n", encoding="utf-8")
        partial.replace(RESULTS / f"{name}.json")
        write_results(RESULTS, Path("benchmarks") / "RESULTS.md", PEER)
        print(f"{known[name].title}: done", flush=True)
    print((Path("benchmarks") / "RESULTS.md").read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
