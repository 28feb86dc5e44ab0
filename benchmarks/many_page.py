"""The page ``benchmarks/MANY.md``, from the results of ``benchmarks.many``."""

from collections import Counter
from typing import Any

import numpy as np

from stillhouse.evaluation.report import as_markdown

FIRST, ANEW, UNCHANGED, REGISTER = "all stages, first run", "all stages, new seed", "nothing changed", "register"
SERVERS, DATABASES = ("Prefect", "MLflow", "PostgreSQL"), ("prefect", "mlflow")
RARE = 0.5  # requests a run below which an endpoint has no row of its own
HEAD = """# Many projects on one MLflow and one Prefect server

Written by `python -m benchmarks.many`; do not edit. Machine: {machine}. Command: `{command}`.{note}

{projects} projects share one MLflow server (one worker), one Prefect server, and one PostgreSQL with its default
settings, which has the databases of both. MLflow stores files in S3 (moto, which is not measured). The first project
has 360 short texts and a tiny teacher. It runs all stages, then all stages with another seed, then once with nothing
changed; the last two also at the end. No other project runs meanwhile. Each further project is a copy of the first
with its own experiment and registered name: its run executes the flow, finds all stages but `register` unchanged, and
registers a champion. {at_once} of them run at a time. Servers and projects share the machine, so the seconds are those
of a loaded machine. A run is a process of its own (`python -m flows.distillation`). Requests are counted in the access
logs of the servers; the events of a run go to Prefect through a WebSocket, which counts as one request. The processor
seconds of the servers include what they take at rest.

At the end the servers have {outcome}.
"""


def run_row(span: dict[str, Any]) -> dict[str, str]:
    """A group of runs as a row of the first table: what each run took, on average where nothing else is stated."""
    runs, seconds = len(span["runs"]), [one["seconds"] for one in span["runs"]]
    requests = {name: sum(found.values()) for name, found in span["requests"].items()}
    return {
        "run": span["kind"],
        "projects after it": str(span["projects"]),
        "runs": str(runs),
        "failed": str(sum(one["failure"] is not None for one in span["runs"])),
        "seconds, median": f"{np.median(seconds):.1f}",
        "95 %": f"{np.quantile(seconds, 0.95):.1f}",
        **{f"requests to {name}": f"{number / runs:,.0f}" for name, number in requests.items()},
        "answers with status 5xx": str(sum(span["refused"].values())),
        "processor s of the run": f"{span['command_cpu_s'] / runs:.1f}",
        **{f"of {name}": f"{span['cpu_s'][name] / runs:.1f}" for name in SERVERS},
    }


def page(results: dict[str, Any]) -> str:
    """The whole page."""
    spans, points = results["spans"], results["points"]
    outcome = ", ".join(f"{number} {what}" for what, number in results["outcome"].items())
    note = f" {results['note']}" if results["note"] else ""
    rows = [run_row(span) for span in spans]
    sections = {
        "Requests and seconds of a run": [list(rows[0]), *(list(row.values()) for row in rows)],
        "Which requests, for each run": endpoints(spans),
        "The servers at rest": resting(points),
        "Latency of pages, ms (median, 95 %)": latencies(points),
        "Largest tables at the end, MB": tables(points[-1]),
    }
    parts = [f"\n## {title}\n\n{as_markdown(table)}\n" for title, table in sections.items()]
    return "".join([HEAD.format(**results | {"outcome": outcome, "note": note}), *parts])


def endpoints(spans: list[dict[str, Any]]) -> list[list[str]]:
    """Requests a run by endpoint, for the last group of runs of each kind."""
    last = {span["kind"]: span for span in spans}
    rows = [["server", "request", *last]]
    for server in spans[0]["requests"]:
        found = {
            kind: Counter({name: number / len(span["runs"]) for name, number in span["requests"][server].items()})
            for kind, span in last.items()
        }
        names = {name: max(each[name] for each in found.values()) for each in found.values() for name in each}
        for name in sorted((name for name in names if names[name] >= RARE), key=names.__getitem__, reverse=True):
            rows.append([server, f"`{name}`", *(f"{each[name]:.1f}" for each in found.values())])
        rare = [sum(number for name, number in each.items() if names[name] < RARE) for each in found.values()]
        rows.append([server, "others", *(f"{number:.1f}" for number in rare)])
    return rows


def resting(points: list[dict[str, Any]]) -> list[list[str]]:
    """Memory, sizes and idle processor at each point."""
    rows = [["projects", *(str(one["projects"]) for one in points)]]
    for server in SERVERS:
        rows.append([f"memory of {server}, MB", *(f"{one['memory_mb'][server]:,.0f}" for one in points)])
    for server in SERVERS:
        rows.append([f"idle {server}, % of a core", *(f"{100 * one['idle_cpu'][server]:.1f}" for one in points)])
    for database in DATABASES:
        rows.append([f"database {database}, MB", *(f"{one['database_mb'][database]:,.1f}" for one in points)])
    rows.append(["files of MLflow, MB", *(f"{one['files_mb']:,.1f}" for one in points)])
    return rows


def latencies(points: list[dict[str, Any]]) -> list[list[str]]:
    """Latency of each timed request at each point that has one."""
    timed = [one for one in points if one["latency_ms"]]
    rows = [["projects", *(str(one["projects"]) for one in timed)]]
    for name in timed[0]["latency_ms"]:
        rows.append([name, *("{:.1f}, {:.1f}".format(*one["latency_ms"][name]) for one in timed)])
    return rows


def tables(point: dict[str, Any]) -> list[list[str]]:
    """The largest tables of each database."""
    rows = [["database", "table", "MB"]]
    for database, found in point["table_mb"].items():
        rows += [[database, f"`{name}`", f"{size:.1f}"] for name, size in found.items()]
    return rows
