"""What the function of a stage gets."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stillhouse.params import Params
from stillhouse.pipeline import artefacts
from stillhouse.pipeline.stages import STAGES, Stage

if TYPE_CHECKING:
    from datasets import Dataset


@dataclass(frozen=True)
class Context:
    """The parameters, artefacts and MLflow run of one stage.

    Attributes:
        params: the parameters that the stage declares; for a device, with the device's changes.
        device: as ``params.device``, for PyTorch.
        out: an empty folder for the files of this stage.
        run: its MLflow run.
        stage: which stage it is.
    """

    params: Params
    device: str
    out: Path
    run: Any
    stage: Stage

    def path(self, name: str) -> Path:
        """The path of an artefact that the stage declares under ``reads``, or of a file that DVC does not store.

        Raises:
            KeyError: the stage does not declare it.
        """
        maker, _, file = name.partition("/")
        if name not in self.stage.reads and (maker not in STAGES or file not in STAGES[maker].beside):
            raise KeyError(f"the stage {self.stage.name} does not declare {name} in stillhouse/pipeline/stages.py")
        return artefacts.path(name, device=self.stage.instance if artefacts.is_per_device(name) else "")

    def read(self, *names: str) -> "list[Dataset]":
        """The splits of these names."""
        from stillhouse.data.splits import read_split  # datasets: a second, which not every stage needs

        return [read_split(self.path(name)) for name in names]
