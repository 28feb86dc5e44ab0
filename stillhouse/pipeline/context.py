"""The argument of a stage's function: its parameters, artefacts and MLflow run."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stillhouse.params import Params
from stillhouse.pipeline import artefacts
from stillhouse.pipeline.stages import SPLITS, STAGES, Stage

if TYPE_CHECKING:
    from datasets import Dataset


@dataclass(frozen=True)
class Context:
    """The parameters, artefacts and MLflow run of one stage.

    Attributes:
        params: the parameters that the stage declares; for a device, with the device's changes.
        device: the PyTorch device, from ``params.device``.
        out: an empty folder for the files of this stage.
        run: the MLflow run of this stage.
        stage: the entry in the table of stages.
        of_size: returns ``params`` with the settings of a size of the student.
    """

    params: Params
    device: str
    out: Path
    run: Any
    stage: Stage
    of_size: Callable[[str], Params]

    def path(self, name: str) -> Path:
        """Return the path of an artefact that the stage declares in ``reads``, or of a file that DVC does not store.

        Raises:
            KeyError: the stage does not declare it.
        """
        writer, _, file = name.partition("/")
        if name not in self.stage.reads and (writer not in STAGES or file not in STAGES[writer].beside):
            raise KeyError(f"the stage {self.stage.name} does not declare {name} in stillhouse/pipeline/stages.py")
        if name in SPLITS and "label/splits" in self.stage.reads:
            return artefacts.split(name)
        return artefacts.path(name, device=self.stage.instance)

    def read(self, *names: str) -> "list[Dataset]":
        """Load splits by name."""
        from stillhouse.data.splits import read_split  # importing datasets takes a second; not every stage needs it

        return [read_split(self.path(name)) for name in names]
