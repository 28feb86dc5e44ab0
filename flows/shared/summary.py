"""The summary of a run, for the console and for Prefect's page."""

import os
import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from flows.shared.fleet import Fleet
from stillhouse.evaluation.classes import ClassCounts, class_warnings
from stillhouse.evaluation.constant import compare_with_constant
from stillhouse.evaluation.quality import Quality
from stillhouse.evaluation.reference import NOTE
from stillhouse.evaluation.report import as_markdown, as_text, table
from stillhouse.pipeline.runner import Outcome
from stillhouse.secrets import masked
from stillhouse.tracking.address import tracking_uri


@dataclass(frozen=True, kw_only=True)
class Summary:
    """Results of a run: models, the student's counts by class, outcome and duration of each stage, and the version.

    ``about`` is the description of the version (Markdown), with the gate's decision and its reasons. ``page`` is the
    path of the run in MLflow's UI.
    """

    report: str
    name: str
    version: int
    aliases: list[str]
    about: str
    page: str
    models: Mapping[str, Quality]
    classes: list[ClassCounts]
    outcomes: dict[str, Outcome]
    seconds: dict[str, float]
    fleet: Fleet | None

    def markdown(self) -> str:
        """Return the text for Prefect's page and for the parent run in MLflow."""
        alias = ", ".join(f"`@{name}`" for name in self.aliases) or "no alias"
        stages = [["stage", "outcome", "seconds"]]
        for name, outcome in self.outcomes.items():
            stages.append([name, outcome, f"{self.seconds[name]:.1f}" if name in self.seconds else ""])
        decision, _, reasons = self.about.partition(":\n\n")
        parts = [  # MLflow shows the first lines until one asks for more
            f"## {self.name} version {self.version} ({alias})",
            f"**{decision}.**" if decision else "",
            as_markdown(table(self.models)),
            *(f"**{note}.**" for note in self.notes()),
            reasons,
            f"Model: `models:/{self.name}/{self.version}`",
            f"Report: `{self.report}`",
            "### Stages",
            as_markdown(stages),
        ]
        if self.fleet:
            parts += ["### Devices", as_markdown(self.fleet.table), f"Report: `{self.fleet.report}`"]
        return "\n\n".join(filter(None, parts))

    def text(self, seconds: float) -> str:
        """Return the text for the console. ``seconds`` is the duration of the whole run."""
        alias = ", ".join(f"@{name}" for name in self.aliases) or "no alias"
        notes = [f"Note     {note}" for note in self.notes()]
        lines = ["", as_text(table(self.models)), "", *notes, self._took(seconds), f"Report   {self.report}"]
        if self.fleet:
            lines += ["", as_text(self.fleet.table), "", f"Fleet    {self.fleet.report}"]
        lines.append(f"Model    {self.name} version {self.version} ({alias})")
        if tracking_uri().startswith("http"):
            lines.append(f"MLflow   {masked(tracking_uri()).rstrip('/')}{self.page}")
        else:
            lines.append(f"MLflow   {server_command(tracking_uri())}")
            lines.append(f"         then open http://localhost:5000{self.page}")
        return "\n".join(lines)

    def notes(self) -> list[str]:
        """Return warnings: a student no better than a constant prediction, and classes that it never recognises."""
        found = compare_with_constant(self.classes)
        constant = (
            f"the compressed student is not better than always answering {found.name!r} ({found.accuracy:.1%} right)"
        )
        classes = [f"classes {sentence}" for sentence in class_warnings(self.classes)]
        unknown = [NOTE] if any(model.of_teacher for model in self.models.values()) else []
        return unknown + (classes if found.is_better else [constant, *classes])

    def _took(self, seconds: float) -> str:
        changed = {name.partition("@")[0] for name, outcome in self.outcomes.items() if outcome != "unchanged"}
        ran = [name for name in self.seconds if name in changed]
        if not ran:
            return f"Took     {seconds:.0f} s: nothing had changed, so no stage ran"
        shares = ", ".join(f"{name} {self.seconds[name]:.0f} s" for name in ran)
        return f"Took     {seconds:.0f} s ({shares}; the rest {seconds - sum(self.seconds.values()):.0f} s)"


def server_command(uri: str) -> str:
    """Return a shell command that serves the tracking store ``uri``.

    An address with a password is not printed: the command uses the environment variable instead.
    """
    program = shlex.quote(os.path.relpath(Path(sys.executable).parent / "mlflow"))
    store = shlex.quote(uri) if masked(uri) == uri else '"$MLFLOW_TRACKING_URI"'
    return f"{program} server --backend-store-uri {store} --port 5000"
