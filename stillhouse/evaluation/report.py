"""The report: one self-contained HTML file, and its short table for the console and Prefect's page."""

import base64
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from stillhouse.evaluation.cascade import Cascade
from stillhouse.evaluation.cases import Behaviour
from stillhouse.evaluation.classes import class_warnings
from stillhouse.evaluation.confidence import Confidence
from stillhouse.evaluation.constant import HELP, ConstantComparison
from stillhouse.evaluation.costs import Cost
from stillhouse.evaluation.display import MISSING, number, percent
from stillhouse.evaluation.evidence import Evidence
from stillhouse.evaluation.quality import Quality
from stillhouse.evaluation.reference import NOTE
from stillhouse.evaluation.results import Model, metric_table
from stillhouse.evaluation.significance import Gap, p_value
from stillhouse.evaluation.steps import Row
from stillhouse.serving.classifier import cores


def write_report(
    file: Path,
    *,
    evidence: Evidence,
    models: Mapping[str, Quality],
    differences: dict[str, Gap],
    versus_constant: dict[str, ConstantComparison],
    steps: list[Row],
    behaviours: list[Behaviour],
    machine_labels: dict[str, Any] | None,
    doubtful: list[dict[str, str]],
    checked: int,
    drift: list[list[str]],
    examples: list[dict[str, Any]],
    frontier: Path,
    confusion: Path,
    numbered: bool,
    confidence: Confidence,
    reliability: Path,
    cascade: Cascade | None,
    cascade_picture: Path,
    costs: Sequence[Cost],
) -> None:
    """Write the report of the stage ``evaluate`` to ``file``.

    Args:
        file: the HTML file.
        evidence: what the report shares with the model card.
        models: the measured numbers of each model, by name.
        differences: differences in accuracy, by ``<one> - <other>``.
        versus_constant: the comparisons of ``teacher`` and ``compressed student`` with a constant prediction.
        steps: the steps of the compression.
        machine_labels: what a machine's labels were worth (:func:`~.machine.machine_worth`); None if there are none.
        behaviours: the results of ``evaluate.cases``.
        doubtful: training labels that two models contradict, from :func:`~stillhouse.labelling.doubtful.doubtful_rows`.
        checked: number of training labels that the two models judged.
        drift: a table of changes in the data; the first row is the heading; empty if there are none.
        examples: example predictions, from :func:`~.examples.select_examples`.
        frontier: picture of accuracy against speed.
        confusion: picture of the confusion matrix.
        numbered: whether ``confusion`` shows class numbers instead of names.
        confidence: the calibration and the certified thresholds of the compressed student.
        reliability: picture of the calibration; it exists if test texts have labels.
        cascade: the student together with others; None if no test text has a label.
        cascade_picture: picture of it.
        costs: of each way to answer.
    """
    teacher, student = models["teacher"], models["compressed student"]
    assert isinstance(teacher, Model) and isinstance(student, Model)
    render(
        "report.html.jinja",
        file,
        evidence=evidence,
        models=models,
        differences=differences,
        versus_constant=versus_constant,
        help=HELP,
        class_warnings=class_warnings(evidence.classes),
        numbered=numbered,
        steps=steps,
        card=evidence.card,
        behaviours=behaviours,
        machine_labels=machine_labels,
        doubtful=doubtful,
        checked=checked,
        drift=drift,
        examples=examples,
        teacher=teacher,
        student=student,
        speedup=student.docs_per_s / teacher.docs_per_s,
        shrink=teacher.megabytes / student.megabytes,
        frontier=frontier,
        confusion=confusion,
        measured=evidence.measured,
        confidence=confidence,
        reliability=reliability,
        cascade=cascade,
        cascade_picture=cascade_picture,
        costs=costs,
        priced=any(cost.dollars is not None for cost in costs),
    )


def render(template: str, file: Path, **values: Any) -> None:
    """Render a template of this folder to ``file``. The filter ``embed`` puts a picture's bytes into the page."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
    )
    shown = [*values.get("models", {}).values(), *values.get("others", {}).values()]
    of_teacher = any(model.of_teacher for model in shown)
    values |= {"machine": machine(), "metrics": metric_table(of_teacher), "of_teacher": of_teacher, "note": NOTE}
    environment.filters.update(percent=percent, number=number, points=_points, p_value=p_value, embed=_embed)
    file.write_text(environment.get_template(template).render(**values), encoding="utf-8")


def table(models: Mapping[str, Quality]) -> list[list[str]]:
    """The short results as rows of text, the heading first. A dash stands for a size or speed that was not measured."""
    of_teacher = any(model.of_teacher for model in models.values())
    metrics = [metric for metric in metric_table(of_teacher).values() if metric.brief]
    rows = [["model", *(metric.title for metric in metrics)]]
    for name, model in models.items():
        measured = isinstance(model, Model)
        rows.append([name, *(metric.cell(model) if measured or not metric.cost else MISSING for metric in metrics)])
    return rows


def as_markdown(rows: list[list[str]]) -> str:
    """The rows as a Markdown table; all columns but the first are right-aligned."""
    lines = [rows[0], ["---", *["---:"] * (len(rows[0]) - 1)], *rows[1:]]
    return "\n".join("| " + " | ".join(row) + " |" for row in lines)


def as_text(rows: list[list[str]]) -> str:
    """The rows as aligned columns for the console."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [
        "  ".join(
            [
                row[0].ljust(widths[0]),
                *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)),
            ]
        )
        for row in rows
    ]
    return "\n".join([lines[0], "-" * len(lines[0]), *lines[1:]])


def machine() -> str:
    """The number of cores and the processor of this machine."""
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [line.partition(":")[2].strip() for line in cpuinfo.read_text().splitlines() if "model name" in line]
        model = names[0] if names else model
    return f"{cores()} cores of {model}"


def _points(value: float) -> str:
    return f"{100 * value:+.1f}"


def _embed(file: Path) -> str:
    return base64.b64encode(file.read_bytes()).decode()
