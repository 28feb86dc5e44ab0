"""``python -m benchmarks.next_labels [corpus ...]``: texts that ``stillhouse next`` chooses, against random texts.

A logistic regression on the vectors of the pretrained encoder starts with four random labels for each class. The same
number is added four times, chosen by each method of ``stillhouse.labelling.choice``. The accuracy is
measured on 30 % of the texts, which are never chosen, for eight draws of these texts and of the first labels. Results
are in ``benchmarks/results/next/``.
"""

import argparse
import json
from pathlib import Path
from typing import Any, get_args

import numpy as np

from benchmarks.label_data import Labelled, labelled
from benchmarks.run import FOLDER, RESULTS
from stillhouse.choices import Choice
from stillhouse.distillation.logistic import SOFT_STRENGTH, fit, probabilities
from stillhouse.evaluation.report import as_markdown
from stillhouse.labelling.choice import choose
from stillhouse.task import TASK

CORPORA = ("bbc", "r8", "20ng")
STEP = 4  # labels that are added at a time, for each class
STEPS = 5
TESTED = 0.3  # share of the texts
POOL = 4000  # most texts to choose from
ITERATIONS = 200
RESULT = RESULTS / "next"


def main() -> None:
    """Measure the corpora of the command line, all by default, and print the tables."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.next_labels", description=__doc__)
    parser.add_argument("corpora", nargs="*", metavar="corpus", help=f"of {', '.join(CORPORA)}; all by default")
    parser.add_argument("--draws", type=int, default=8)
    parser.add_argument("--bench", type=Path, default=FOLDER, help="the folder of the finished cases")
    options = parser.parse_args()
    RESULT.mkdir(parents=True, exist_ok=True)
    for name in options.corpora or CORPORA:
        data = labelled(name, options.bench)
        ways = {way: [accuracies(data, way, draw) for draw in range(options.draws)] for way in get_args(Choice)}
        counts = [STEP * len(data.classes) * number for number in range(1, STEPS + 1)]
        command = f"python -m benchmarks.next_labels {name}"
        result = {"corpus": data.title, "command": command, "labels": counts, "ways": ways}
        (RESULT / f"{name}.json").write_text(json.dumps(result) + "\n", encoding="utf-8")
        print(f"\n{table(result)}", flush=True)


def accuracies(data: Labelled, way: Choice, draw: int) -> list[float]:
    """Return the accuracy with each number of labels, for one draw."""
    random = np.random.default_rng(draw)
    order = random.permutation(len(data.labels))
    tested = order[: int(TESTED * len(order))]
    pool = order[len(tested) :][:POOL]
    step, classes = STEP * len(data.classes), len(data.classes)
    known, result = np.arange(step), []  # the pool is shuffled
    for _ in range(STEPS):
        model = fit(data.features[pool[known]], data.labels[pool[known]], SOFT_STRENGTH, iterations=ITERATIONS)
        result.append(TASK.accuracy(data.labels[tested], model.predict(data.features[tested])))
        rest = np.setdiff1d(np.arange(len(pool)), known)
        features = data.features[pool[rest]]
        chosen = choose(way, step, probabilities(model, features, classes), features, draw)
        known = np.concatenate([known, rest[chosen]])
    return result


def table(result: dict[str, Any]) -> str:
    """Return the accuracies as Markdown: mean, standard deviation, and the gain over random texts."""
    rows = [[result["corpus"], *(f"{count} labels" for count in result["labels"][1:])]]
    base = 100 * np.array(result["ways"]["random"])[:, 1:]
    for way, found in result["ways"].items():
        values = 100 * np.array(found)[:, 1:]
        gains = values - base
        cells = zip(values.mean(0), values.std(0, ddof=1), gains.mean(0), strict=True)
        shown = [f"{mean:.1f} ± {spread:.1f} ({gain:+.1f})" for mean, spread, gain in cells]
        rows.append([f"`{way}`", *shown])
    return as_markdown(rows)


if __name__ == "__main__":
    main()
