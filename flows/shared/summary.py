"""What a run of the chain came to, for the console and for Prefect's page."""

import os
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path

from flows.shared.fleet import Fleet
from stillhouse.evaluation.report import as_markdown, as_text, table
from stillhouse.evaluation.results import Model
from stillhouse.secrets import masked
from stillhouse.tracking.store import tracking_uri
from tasks.shared.runner import Outcome


@dataclass(frozen=True, kw_only=True)
class Summary:
    """The models, what each stage did and in how many seconds, and the registered version with its aliases."""

    report: str
    name: str
    version: int
    aliases: list[str]
    models: dict[str, Model]
    outcomes: dict[str, Outcome]
    seconds: dict[str, float]
    fleet: Fleet | None

    def markdown(self) -> str:
        """For Prefect's page and the parent run's."""
        alias = ", ".join(f"`@{name}`" for name in self.aliases) or "no alias"
        stages = [["stage", "outcome", "seconds"]]
        for name, outcome in self.outcomes.items():
            stages.append([name, outcome, f"{self.seconds[name]:.1f}" if name in self.seconds else ""])
        parts = [
            f"## {self.name} version {self.version} ({alias})",
            as_markdown(table(self.models)),
            "### Stages",
            as_markdown(stages),
            f"Report: `{self.report}`",
        ]
        if self.fleet:
            parts += ["### Devices", as_markdown(self.fleet.table), f"Report: `{self.fleet.report}`"]
        return "\n\n".join(parts)

    def text(self, seconds: float) -> str:
        """For the console, after ``seconds`` in all."""
        alias = ", ".join(f"@{name}" for name in self.aliases) or "no alias"
        lines = ["", as_text(table(self.models)), "", self._took(seconds), f"Report   {self.report}"]
        if self.fleet:
            lines += ["", as_text(self.fleet.table), "", f"Fleet    {self.fleet.report}"]
        lines.append(f"Model    {self.name} version {self.version} ({alias})")
        if tracking_uri().startswith("http"):
            lines.append(f"MLflow   {masked(tracking_uri())}")
        else:
            lines.append(f"MLflow   {server_command(tracking_uri())}")
            lines.append("         then open http://localhost:5000")
        return "\n".join(lines)

    def _took(self, seconds: float) -> str:
        changed = {name.partition("@")[0] for name, outcome in self.outcomes.items() if outcome != "unchanged"}
        ran = [name for name in self.seconds if name in changed]
        if not ran:
            return f"Took     {seconds:.0f} s: nothing had changed, so no stage ran"
        shares = ", ".join(f"{name} {self.seconds[name]:.0f} s" for name in ran)
        return f"Took     {seconds:.0f} s ({shares}; the rest {seconds - sum(self.seconds.values()):.0f} s)"


def server_command(uri: str) -> str:
    """The command that serves the tracking store ``uri``, to be pasted into a shell.

    An address with a password is not printed: the shell takes it from the variable that holds it.
    """
    program = shlex.quote(os.path.relpath(Path(sys.executable).parent / "mlflow"))
    store = shlex.quote(uri) if masked(uri) == uri else '"$MLFLOW_TRACKING_URI"'
    return f"{program} server --backend-store-uri {store} --port 5000"
