"""``python -m benchmarks.promise [case ...]``: how often a certified promise is broken.

It reads the finished copies of ``python -m benchmarks.run``. The test texts stand for all texts of their kind. In each
of 1,000 draws, 1,000 of them (with replacement) certify a threshold; the promise is broken if it does not hold for all
test texts together. At most 5 % of the draws may break it. The results are in ``benchmarks/results/promise/``.
"""

import argparse
import json
from dataclasses import replace

import numpy as np

from benchmarks.corpora import SMALL, cases
from benchmarks.run import FOLDER, RESULTS
from benchmarks.sure import test_answers
from stillhouse.evaluation.certificate import certify
from stillhouse.evaluation.confidence import SHOWN
from stillhouse.evaluation.display import percent
from stillhouse.evaluation.report import as_markdown, machine
from stillhouse.files import write_json

DRAWS = 1000
CERTIFYING = 1000  # texts of a draw


def broken(confidence: np.ndarray, right: np.ndarray, wanted: float, seed: int = 0) -> dict[str, float | None]:
    """Return the shares of draws that certify a threshold, and that break their promise.

    Args:
        confidence: of each answer, (texts,).
        right: whether it is right, (texts,).
        wanted: the promise.
        seed: of the draws.

    Returns:
        ``certified`` and ``broken`` (shares of all draws), and ``deferred``, the mean share of the certified ones.
    """
    random = np.random.default_rng(seed)
    certified, failed, deferred = 0, 0, []
    for _ in range(DRAWS):
        tested = random.integers(0, len(right), CERTIFYING)
        found = certify(confidence[tested], right[tested], wanted)
        if found.min_confidence is None:
            continue
        answered = confidence >= np.float32(found.min_confidence)
        certified += 1
        failed += float(right[answered].mean()) < wanted
        deferred.append(1 - float(answered.mean()))
    mean = float(np.mean(deferred)) if deferred else None
    return {"certified": certified / DRAWS, "broken": failed / DRAWS, "deferred": mean}


def main() -> None:
    """Measure the named cases and print a table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.promise", description=__doc__)
    parser.add_argument("cases", nargs="+", metavar="case")
    parser.add_argument("--size", default=SMALL, help=f"of the student; {SMALL} by default")
    options = parser.parse_args()
    rows, results = [], {}
    known = cases(FOLDER / "data")
    for case in (known[name] for name in options.cases):
        name = replace(case, size=options.size).name
        confidence, right = test_answers(FOLDER / name)
        for wanted in SHOWN:
            found = broken(confidence, right, wanted)
            results[f"{name} {wanted:g}"] = found
            shown = [percent(value) if value is not None else "–" for value in found.values()]
            rows.append([case.title, f"{len(right):,}", percent(float(right.mean())), percent(wanted), *shown])
    file = RESULTS / "promise" / "draws.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    earlier = json.loads(file.read_text(encoding="utf-8"))["draws"] if file.exists() else {}
    write_json(file, {"machine": machine(), "draws": earlier | results})
    print(as_markdown([["corpus", "test texts", "accuracy", "promise", "certified", "broken", "deferred"], *rows]))


if __name__ == "__main__":
    main()
