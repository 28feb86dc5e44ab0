"""From measured corpora to ``RESULTS.md``: tables, paired differences, targets met or missed by how much."""

import base64
import json
from pathlib import Path
from typing import Any

import numpy as np

from stillhouse.evaluation.comparison import Arm, compare, tables
from stillhouse.evaluation.report import as_markdown, number

STUDENT, SVM = "compressed student", "TF-IDF + SVM"
RESAMPLES, SEED = 10_000, 0
# https://github.com/ZeroRin/BertGCN (Lin et al. 2021, arXiv:2105.05727) and Galke and Scherp 2022
# (aclanthology.org/2022.acl-long.279): the same published splits, texts with punctuation and case.
LIN, GALKE = "Lin et al. 2021", "Galke and Scherp 2022"
PUBLISHED = {
    "r8": [("BERT base", 97.8, LIN), ("RoBERTa base", 97.8, LIN), ("TextGCN", 97.1, LIN), ("WideMLP", 97.27, GALKE)],
    "20ng": [("BERT base", 85.3, LIN), ("RoBERTa base", 83.8, LIN), ("TextGCN", 86.3, LIN), ("WideMLP", 83.31, GALKE)],
}
SOURCES = (
    "Lin et al. 2021: BertGCN, [arXiv:2105.05727](https://arxiv.org/abs/2105.05727), table of "
    "[its repository](https://github.com/ZeroRin/BertGCN). Galke and Scherp 2022: "
    "[Bag-of-Words vs. Graph vs. Sequence](https://aclanthology.org/2022.acl-long.279)."
)


def pack(numbers: list[int]) -> str:
    """Class numbers below 255 (-1 for none) as text."""
    return base64.b64encode(np.array(numbers, dtype=np.int16).astype(np.uint8).tobytes()).decode()


def unpack(text: str) -> np.ndarray:
    """What :func:`pack` packed; -1 became 255, which is no class."""
    return np.frombuffer(base64.b64decode(text), dtype=np.uint8)


def write_results(folder: Path, file: Path, peer: str) -> None:
    """Write ``file`` from every ``<corpus>.json`` in ``folder``, and the notes beside it."""
    measured = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.json"))}
    parts = ["# Results", "Written by `make bench` (`python -m benchmarks.run`); do not edit. What was tried and "]
    parts[-1] += "did not help, and what is missing, stands at the end and comes from `benchmarks/NOTES.md`."
    for name, result in measured.items():
        parts += _corpus(name, result, peer)
    parts += ["## Published figures", SOURCES]
    parts += [(file.parent / "NOTES.md").read_text(encoding="utf-8").strip()]
    file.write_text("\n\n".join(parts) + "\n", encoding="utf-8")


def _corpus(name: str, result: dict[str, Any], peer: str) -> list[str]:
    labels, runs = unpack(result["labels"]), result["runs"]
    models = list(runs[0]["models"])
    rows = [["model", "accuracy", "macro-F1", "agrees with teacher", "size MB", "docs/s", "one text, ms"]]
    for model in models:
        told = [run["models"][model] for run in runs]
        accuracies = 100 * np.array([one["accuracy"] for one in told])
        spread = f" ± {accuracies.std(ddof=1):.2f}" if len(told) > 1 and np.ptp(accuracies) else ""
        latency = [one["latency_ms"] for one in told if "latency_ms" in one]
        rows.append(
            [
                model,
                f"{accuracies.mean():.2f}{spread}",
                f"{100 * np.mean([one['macro_f1'] for one in told]):.2f}",
                f"{100 * np.mean([one['teacher_agreement'] for one in told]):.1f} %",
                number(float(told[-1]["megabytes"])),
                number(float(np.median([one["docs_per_s"] for one in told]))),
                number(float(np.median(latency))) if latency else "",
            ]
        )
    rows += [[f"{who} ({source})", f"{value}", "", "", "", "", ""] for who, value, source in PUBLISHED.get(name, [])]
    right = {
        model: np.array([unpack(run["models"][model]["answers"]) == labels for run in runs], dtype=float)
        for model in models
    }
    arms = [Arm(model, values) for model, values in right.items()]
    pairs = [(STUDENT, other) for other in ("control", SVM, peer, "teacher", "student")]
    compared = compare(arms, pairs, "teacher", RESAMPLES, SEED)
    seeds = ", ".join(map(str, result["seeds"]))
    minutes = sum(run["seconds"] for run in runs) / 60
    return [
        f"## {result['corpus']}",
        f"{len(labels)} test texts; seeds of control, student and peer: {seeds} (one teacher); {result['machine']}; "
        f"`{result['command']}`, {minutes:.0f} min of stages that had to be run.",
        as_markdown(rows),
        as_markdown(tables(compared)[1]),
        _targets(compared, name),
    ]


def _targets(compared: dict[str, Any], name: str) -> str:
    arms, gaps = compared["arms"], compared["differences"]
    student, teacher = arms[STUDENT]["accuracy"], arms["teacher"]["accuracy"]
    lines = [_line("keeps 99 % of the teacher's accuracy", 100 * student / teacher - 99, f"{student / teacher:.1%}")]
    svm = arms[SVM]["accuracy"]
    lines.append(_line("not below TF-IDF + SVM", 100 * (student - svm), f"{100 * (student - svm):+.2f} points"))
    gap = gaps[f"{STUDENT} - control"]
    above = f"{100 * gap['accuracy']:+.2f}, 95 % interval {100 * gap['low']:+.2f} to {100 * gap['high']:+.2f}"
    lines.append(_line("above the control, interval without 0", 100 * gap["low"], above))
    if name in PUBLISHED:
        bert = PUBLISHED[name][0][1]
        lines.append(
            _line(f"teacher within a point of BERT ({bert})", 100 * teacher - bert + 1, f"{100 * teacher:.2f}")
        )
    return "\n".join(lines)


def _line(target: str, margin: float, told: str) -> str:
    return f"- {'met' if margin >= 0 else f'**missed by {-margin:.2f}**'}: {target} ({told})"
