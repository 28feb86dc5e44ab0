"""The path of each artefact. No other code joins such paths."""

from pathlib import Path

from stillhouse.pipeline.stages import METRICS, SPLITS, STAGES, Stage
from stillhouse.project import OUTPUTS


def path(name: str, project: Path = Path(), device: str = "") -> Path:
    """Return the path of an artefact.

    Args:
        name: as in the table of stages: ``train``, ``student/model``, ``inputs/data``, ``evaluate/report.html``.
        project: the folder of the project.
        device: name of the device; ignored for the artefacts of a stage that does not run once for each device.

    Raises:
        KeyError: the stage does not declare this file.
    """
    if name.startswith("inputs/"):
        return project / name
    writer, file = ("prepare", f"{name}.arrow") if name in SPLITS else name.split("/", 1)
    stage = STAGES[writer]
    if file not in {*stage.writes, *stage.beside, METRICS, *([stage.plot.file] if stage.plot else [])}:
        raise KeyError(f"the stage {writer} declares no {file} in stillhouse/pipeline/stages.py")
    return project / (stage.of(device) if stage.per_device else stage).folder / file


def split(name: str, project: Path = Path()) -> Path:
    """Return the path of a split for the stages after ``label``, which replaces the splits of data without labels."""
    folder = path("label/splits", project)
    return folder / f"{name}.arrow" if is_replaced(folder, name) else path(name, project)


def is_replaced(splits: Path, name: str) -> bool:
    """Whether the folder ``label/splits`` has a split of this name."""
    return (splits / f"{name}.arrow").exists()


def inputs_of(stage: Stage) -> list[Path]:
    """The artefacts of earlier stages that a stage reads."""
    paths = [path(name, device=stage.instance) for name in stage.reads]
    return [found for found in paths if found.parts[0] == OUTPUTS.name]
