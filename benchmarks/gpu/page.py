"""Writes ``GPU.md`` from the record."""

import json
from typing import Any

from benchmarks.gpu.parts import PARTS
from benchmarks.gpu.record import Record
from stillhouse.evaluation.display import number
from stillhouse.evaluation.report import as_markdown

NO_GPU = "No GPU has run this yet"
STATES = {"done": "", "cut": "**Cut**", "failed": "**Failed**", "not run": "**Not run**"}


def page(record: Record) -> str:
    """The page with all parts in their order, also those that were cut, failed or did not run."""
    lines = record.lines()
    return (
        "\n\n".join([*_head(record.machine()), *(text for part in PARTS for text in section(part.name, lines))]) + "\n"
    )


def section(name: str, lines: list[dict[str, Any]]) -> list[str]:
    """A part's heading, state, notes and tables, as paragraphs."""
    part = next(part for part in PARTS if part.name == name)
    own = [line for line in lines if line["part"] == name]
    state = next(
        (line for line in reversed(own) if "state" in line), {"state": "not run", "why": "the run ended before"}
    )
    found = [f"## {part.title}"]
    if word := STATES[state["state"]]:
        found.append(f"{word}{_details(state)}.")
    found += [line["note"] for line in own if "note" in line]
    return found + [as_markdown(rows) for rows in _tables([line["row"] for line in own if "row" in line])]


def _head(machine: dict[str, Any]) -> list[str]:
    origin = "Written by `make gpu` (`python -m benchmarks.gpu`); do not edit."
    if machine.get("type") != "cuda":
        where = f" ({machine['processor']}, {_versions(machine)})" if machine else ""
        return [
            f"# {NO_GPU}",
            f"{origin} These are the numbers of its small form on a CPU{where}: they show that every part runs, and "
            "say nothing of a GPU's speed.",
        ]
    form = " In the small form." if machine["small"] else ""
    return [
        f"# On a GPU: {machine['device'].removeprefix('cuda, ')}",
        f"{origin} {machine['memory_gib']:.0f} GiB, driver {machine.get('driver', 'unknown')}, CUDA {machine['cuda']}, "
        f"beside {machine['processor']}; {_versions(machine)}.{form}",
    ]


def _versions(machine: dict[str, Any]) -> str:
    return f"PyTorch {machine['torch']}, transformers {machine['transformers']}, Python {machine['python']}"


def _details(state: dict[str, Any]) -> str:
    seconds = f" after {state['seconds']:.0f} s" if "seconds" in state else ""
    why = " ".join(str(state.get("why", "")).split()).rstrip(".")
    return f"{seconds}: {why}" if why else seconds


def _tables(rows: list[dict[str, Any]]) -> list[list[list[str]]]:
    """The tables; rows with the same columns are one table."""
    found: dict[str, list[list[str]]] = {}
    for row in rows:
        table = found.setdefault(json.dumps(list(row)), [list(row)])
        table.append([_shown(value) for value in row.values()])
    return list(found.values())


def _shown(value: Any) -> str:
    if value is None:
        return ""
    return number(value) if isinstance(value, float) else str(value)
