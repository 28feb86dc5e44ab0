"""``python -m benchmarks.run [case ...]``: the default parameters on four corpora, with few labels and with all.

It runs the pipeline's own stages in a copy of the project (``.stillhouse/bench/<case>``). With all labels one teacher
is trained, and for each seed a control and a student. With few labels each seed draws other labels, and all models are
trained for each seed. The peers (benchmarks/peers.py) are measured on the same splits. A stopped case continues where
it was; a case whose code and parameters did not change is not run again. Results are in ``benchmarks/results/``.
"""

import argparse
import csv
import json
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.corpora import SMALL, Case, cases, fetch
from benchmarks.packing import pack, unpack
from benchmarks.peers import PEERS, Peer, Split
from benchmarks.results import write_results
from benchmarks.sure import store_sureness
from flows.shared.workspace import workspace
from stillhouse.evaluation.report import machine
from stillhouse.files import replacing
from stillhouse.pipeline.artefacts import path
from stillhouse.pipeline.runner import run_stage
from stillhouse.pipeline.stages import before
from stillhouse.pipeline.timed import evaluation_is_timed
from stillhouse.project import OUTPUTS, STATE
from stillhouse.task import TASK

SEEDS = [13, 14, 15]
FOLDER = STATE / "bench"
RESULTS = Path("benchmarks") / "results"
DAY_S = 86_400.0


def measure(case: Case, seeds: list[int]) -> dict[str, Any]:
    """Run the pipeline for every seed; returns each model's predictions, quality and speed."""
    runs = []
    for seed in seeds:
        folder = project_copy(case, seed)
        start = time.perf_counter()
        run_stages(folder)
        runs.append(collect(folder, seed) | {"seconds": time.perf_counter() - start})
        store_sureness(RESULTS, case.name, case.title, seed, folder)
    return {
        "corpus": case.title,
        "few": case.labels,
        "machine": machine(),
        "command": f"python -m benchmarks.run {replace(case, size=SMALL).name}"
        + (f" --size {case.size}" if case.size != SMALL else ""),
        "seeds": seeds,
        "labels": runs[0]["labels"],
        "runs": runs,
    }


def run_stages(folder: Path) -> None:
    """Run the stages up to ``evaluate`` in a copy of the project, with timings of its own models."""
    for stage in before("register"):
        run_stage(stage.name, DAY_S, folder=folder)
    if not evaluation_is_timed(folder):  # DVC has restored it from another run
        run_stage("evaluate", DAY_S, force=True, folder=folder)


def project_copy(case: Case, seed: int) -> Path:
    """Create or update the copy of the project in which a case is run."""
    fetch(case.corpus, FOLDER / "data")
    return workspace(FOLDER / case.name, case.changes(seed))


def add_peers(case: Case, result: dict[str, Any], without: list[str]) -> None:
    """Measure the missing peers of a measured case on the same splits, and add them to ``result``.

    Peers named in ``without`` are left out.
    """
    for run in result["runs"]:
        first = run["seed"] == result["seeds"][0]
        required = [name for name, kind in PEERS.items() if name not in without and is_required(kind, case, first)]
        if missing := [name for name in required if name not in run["models"]]:
            folder = project_copy(case, run["seed"])
            run_stage("prepare", DAY_S, folder=folder)
            for name in missing:
                run["models"][name] = peer(name, folder, run)
                if machine() != result["machine"]:
                    run["models"][name]["machine"] = machine()


def is_required(peer: Peer, case: Case, first: bool) -> bool:
    """Whether a peer is measured in a run; ``first``: the run has the first seed.

    With few labels a peer is measured for every seed, because each seed draws other labels. With all labels it is
    measured once. A slow peer is measured once with few labels, and not with all labels, which would take hours.
    Without labels no peer can be trained. Beside a further size of the student no peer is measured again.
    """
    if case.labels == 0 or case.size != SMALL:
        return False
    if peer.slow:
        return first and case.labels is not None
    return first or case.labels is not None


def collect(folder: Path, seed: int) -> dict[str, Any]:
    """Read the outputs of the stage ``evaluate``: predictions as class numbers, metrics, speed."""
    metrics = json.loads(path("evaluate/metrics.json", folder).read_text(encoding="utf-8"))["models"]
    speed = json.loads(path("evaluate/speed.json", folder).read_text(encoding="utf-8"))["models"]
    with path("evaluate/answers.csv", folder).open(newline="", encoding="utf-8") as table:
        rows = list(csv.DictReader(table))
    numbers = class_numbers([row["label"] for row in rows])
    models = {
        name: metrics[name] | speed[name] | {"answers": pack([numbers.get(row[name], -1) for row in rows])}
        for name in speed
    }
    return {"seed": seed, "labels": pack([numbers[row["label"]] for row in rows]), "models": models}


def class_numbers(labels: list[str]) -> dict[str, int]:
    """A number for each class of the test texts, by name."""
    return {name: number for number, name in enumerate(sorted(set(labels)))}


def peer(name: str, folder: Path, run: dict[str, Any]) -> dict[str, Any]:
    """Measure a peer in a new process on the same split; the result is stored beside the outputs.

    Raises:
        SystemExit: the test texts are not those of ``run``.
    """
    test = Split.read(folder / OUTPUTS, "test").labels
    numbers = class_numbers(test)
    if pack([numbers[label] for label in test]) != run["labels"]:
        raise SystemExit(
            f"{folder}: the test texts are not those of the result; delete the case's result and measure again"
        )
    file = (folder / f"{PEERS[name].module_name}-{run['seed']}.json").resolve()
    if not file.exists():
        arguments = [name, str((folder / OUTPUTS).resolve()), str(run["seed"]), str(file)]
        subprocess.run([sys.executable, "-m", "benchmarks.peers", *arguments], check=True)
    result = json.loads(file.read_text(encoding="utf-8"))
    labels = np.array([numbers[label] for label in test])
    answers = np.array([numbers.get(answer, -1) for answer in result["answers"]])
    return result | {
        "answers": pack(answers.tolist()),
        **TASK.metrics(labels, answers),
        "teacher_agreement": TASK.agreement(unpack(run["models"]["teacher"]["answers"]), answers),
    }


def main() -> None:
    """Measure the named cases (all by default), then write RESULTS.md from all measured cases."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.run", description=__doc__)
    known = cases(FOLDER / "data")
    parser.add_argument("cases", nargs="*", metavar="case", help=f"of {', '.join(known)}; all by default")
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS, help="of the draws of labels, control, student")
    parser.add_argument("--size", default=SMALL, help=f"of the student (student.size); {SMALL} by default")
    parser.add_argument("--peers", action="store_true", help="only measure peers, in cases that were measured before")
    parser.add_argument("--without", nargs="+", choices=PEERS, default=[], help="peers that are left out")
    options = parser.parse_args()
    if unknown := set(options.cases) - known.keys():
        parser.error(f"unknown case {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    RESULTS.mkdir(parents=True, exist_ok=True)
    for case in (replace(known[name], size=options.size) for name in options.cases or known):
        name = case.name
        if options.peers:
            result = json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))
        else:
            result = measure(case, options.seeds)
        add_peers(case, result, options.without)
        with replacing(RESULTS / f"{name}.json") as partial:
            partial.write_text(json.dumps(result) + "\n", encoding="utf-8")
        write_results(RESULTS, Path("benchmarks") / "RESULTS.md")
        print(f"{case.title}: done", flush=True)
    print((Path("benchmarks") / "RESULTS.md").read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
