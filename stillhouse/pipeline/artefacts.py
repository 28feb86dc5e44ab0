"""The path of each artefact. No other code joins such paths."""

from pathlib import Path

from stillhouse.pipeline.stages import METRICS, SPLITS, STAGES, Stage
from stillhouse.project import OUTPUTS


def path(name: str, project: Path = Path(), device: str = "") -> Path:
    """Return the path of an artefact.

    Args:
        name: as in the table of stages: ``train``, ``student/model``, ``inputs/data``, ``evaluate/report.html``.
        project: the folder of the project.
        device: name of the device; used only for artefacts of a stage that runs once for each device.

    Raises:
        KeyError: the stage does not declare this file.
    """
    if name.startswith("inputs/"):
        return project / name
    stage, file = ("prepare", f"{name}.arrow") if name in SPLITS else name.split("/", 1)
    if file not in files_of(STAGES[stage]):
        raise KeyError(f"the stage {stage} declares no {file} in stillhouse/pipeline/stages.py")
    return project / STAGES[stage].of(device).folder / file


def stored(stage: Stage) -> list[Path]:
    """The files that DVC stores for a stage (for its device, if it runs for one)."""
    files = [*stage.writes, METRICS, *([stage.plot.file] if stage.plot else [])]
    return [stage.folder / file for file in files]


def inputs_of(stage: Stage) -> list[Path]:
    """The artefacts of earlier stages that a stage reads."""
    paths = [path(name, device=stage.instance if is_per_device(name) else "") for name in stage.reads]
    return [found for found in paths if found.parts[0] == OUTPUTS.name]


def files_of(stage: Stage) -> set[str]:
    """The files and folders of a stage, relative to its folder."""
    return {*stage.writes, *stage.beside, METRICS, *([stage.plot.file] if stage.plot else [])}


def is_per_device(name: str) -> bool:
    """Whether an artefact exists once for each device."""
    writer = STAGES.get(name.split("/")[0])
    return writer is not None and writer.per_device
