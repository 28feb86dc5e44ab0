"""The report: one HTML file that needs nothing else, and the same table for a console or a Prefect page."""

import base64
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from stillhouse.evaluation.cases import Behaviour
from stillhouse.evaluation.classes import Class, class_warnings
from stillhouse.evaluation.constant import HELP, Against
from stillhouse.evaluation.display import MISSING, number, percent
from stillhouse.evaluation.quality import Quality
from stillhouse.evaluation.results import METRIC_TABLE, Model
from stillhouse.evaluation.significance import Gap, p_value
from stillhouse.evaluation.steps import Row
from stillhouse.serving.classifier import cores


def write_report(
    file: Path,
    *,
    name: str,
    models: Mapping[str, Quality],
    differences: dict[str, Gap],
    against: dict[str, Against],
    classes: list[Class],
    free: str,
    source: str,
    steps: list[Row],
    card: dict[str, Any],
    behaviours: list[Behaviour],
    drift: list[list[str]],
    examples: list[dict[str, Any]],
    frontier: Path,
    confusion: Path,
    numbered: bool,
) -> None:
    """Write ``file``.

    ``free`` is the best of the models that cost no distillation, ``source`` the network that was compressed
    (``student``, or ``control``), ``against`` how teacher and compressed student compare with a constant prediction,
    ``classes`` the counts of the compressed student, ``numbered`` whether ``confusion`` shows class numbers instead of
    names, ``drift`` a table of how the data moved, the first row its heading.
    """
    teacher, student = models["teacher"], models["compressed student"]
    assert isinstance(teacher, Model) and isinstance(student, Model)
    render(
        "report.html.jinja",
        file,
        name=name,
        models=models,
        differences=differences,
        free=free,
        worth=differences[f"compressed student - {free}"],
        against=against,
        help=HELP,
        classes=classes,
        class_warnings=class_warnings(classes),
        numbered=numbered,
        source=source,
        steps=steps,
        card=card,
        behaviours=behaviours,
        drift=drift,
        examples=examples,
        teacher=teacher,
        student=student,
        retention=student.accuracy / max(teacher.accuracy, 1e-9),
        speedup=student.docs_per_s / teacher.docs_per_s,
        shrink=teacher.megabytes / student.megabytes,
        frontier=frontier,
        confusion=confusion,
    )


def render(template: str, file: Path, **values: Any) -> None:
    """Fill in a template of this folder; pictures (paths, by the filter ``embed``) become part of the page."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
    )
    environment.filters.update(percent=percent, number=number, points=_points, p_value=p_value, embed=_embed)
    file.write_text(
        environment.get_template(template).render(machine=machine(), metrics=METRIC_TABLE, **values), encoding="utf-8"
    )


def table(models: Mapping[str, Quality]) -> list[list[str]]:
    """The short results as rows of text, the first the heading; a dash for size and speed where not measured."""
    metrics = [metric for metric in METRIC_TABLE.values() if metric.brief]
    rows = [["model", *(metric.title for metric in metrics)]]
    for name, model in models.items():
        measured = isinstance(model, Model)
        rows.append([name, *(metric.cell(model) if measured or not metric.cost else MISSING for metric in metrics)])
    return rows


def as_markdown(rows: list[list[str]]) -> str:
    """A Markdown table, numbers to the right."""
    lines = [rows[0], ["---", *["---:"] * (len(rows[0]) - 1)], *rows[1:]]
    return "\n".join("| " + " | ".join(row) + " |" for row in lines)


def as_text(rows: list[list[str]]) -> str:
    """Aligned columns for a console."""
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
    """The processor that was measured on."""
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
