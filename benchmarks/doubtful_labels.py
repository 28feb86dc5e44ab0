"""``python -m benchmarks.doubtful_labels [corpus ...]``: flipped labels that the list of doubtful labels finds.

A share of the labels is replaced by another class at random. With all labels, and with 16 of each class. Reported are
the number of listed labels, the share of flipped ones among the first 50, and the share of the flipped labels among as
many first ones (recall). Results are in ``benchmarks/results/doubtful/``.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.label_data import Labelled, labelled
from benchmarks.run import FOLDER, RESULTS
from stillhouse.distillation.probe import out_of_fold
from stillhouse.evaluation.report import as_markdown
from stillhouse.labelling.choice import balanced
from stillhouse.labelling.doubtful import doubtful_labels

CORPORA = ("bbc", "20ng")
FEW = 16
SHARES = (0.02, 0.05, 0.1)
FIRST = 50
RESULT = RESULTS / "doubtful"


def main() -> None:
    """Measure the corpora of the command line, all by default, and print the tables."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.doubtful_labels", description=__doc__)
    parser.add_argument("corpora", nargs="*", metavar="corpus", help=f"of {', '.join(CORPORA)}; all by default")
    parser.add_argument("--draws", type=int, default=3)
    parser.add_argument("--bench", type=Path, default=FOLDER, help="the folder of the finished cases")
    options = parser.parse_args()
    RESULT.mkdir(parents=True, exist_ok=True)
    for name in options.corpora or CORPORA:
        data = labelled(name, options.bench)
        runs = [
            found(data, few, share, draw) for few in (None, FEW) for share in SHARES for draw in range(options.draws)
        ]
        result = {"corpus": data.title, "command": f"python -m benchmarks.doubtful_labels {name}", "runs": runs}
        (RESULT / f"{name}.json").write_text(json.dumps(result) + "\n", encoding="utf-8")
        print(f"\n{table(result)}", flush=True)


def found(data: Labelled, few: int | None, share: float, draw: int) -> dict[str, Any]:
    """Flip a share of the labels, of all texts or of ``few`` texts of each class, and look for them."""
    random, classes = np.random.default_rng(draw), len(data.classes)
    rows = np.arange(len(data.labels)) if few is None else balanced(data.labels, few * classes, draw)
    labels = data.labels[rows].copy()
    flipped = random.permutation(len(rows))[: max(1, round(share * len(rows)))]
    labels[flipped] = (labels[flipped] + random.integers(1, classes, len(flipped))) % classes
    unseen = out_of_fold(data.features[rows], labels, classes, draw)
    listed = doubtful_labels([data.texts[row] for row in rows], labels, unseen, draw).rows
    hits = np.isin(listed, flipped)
    return {
        "few": few,
        "texts": len(rows),
        "share": share,
        "flipped": len(flipped),
        "listed": len(listed),
        "precision": float(hits[:FIRST].mean()) if len(hits) else 0.0,
        "recall": float(hits[: len(flipped)].sum() / len(flipped)),
        "recall_listed": float(hits.sum() / len(flipped)),
    }


def table(result: dict[str, Any]) -> str:
    """Return the means over draws as Markdown."""
    head = ["labels", "flipped", "listed", f"precision of the first {FIRST}", "recall", "recall of the list"]
    rows = [[result["corpus"], *head]]
    groups: dict[tuple[int | None, float], list[dict[str, Any]]] = {}
    for run in result["runs"]:
        groups.setdefault((run["few"], run["share"]), []).append(run)
    for (_, share), runs in groups.items():
        mean = {key: np.mean([run[key] for run in runs]) for key in runs[0] if key != "few"}
        counts = [f"{mean['texts']:,.0f}", f"{mean['flipped']:.0f}", f"{mean['listed']:.0f}"]
        shares = [f"{mean[key]:.2f}" for key in ("precision", "recall", "recall_listed")]
        rows.append([f"{100 * share:.0f} % flipped", *counts, *shares])
    return as_markdown(rows)


if __name__ == "__main__":
    main()
