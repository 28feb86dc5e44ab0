"""The pipeline as data: which stages there are, in which order, and how each wants to be run.

What a stage does is in ``tasks/<name>.py``, what it depends on in ``dvc.yaml``.
"""

from dataclasses import dataclass, replace
from pathlib import Path

OUTPUTS = Path("outputs")


@dataclass(frozen=True)
class Stage:
    """A stage's name and manners: whether it trains on the device, and whether a second try can help.

    A stage that is run once for each of ``devices`` has one ``instance`` a device.
    """

    name: str
    trains: bool = False
    retries: bool = False
    instance: str = ""

    @property
    def address(self) -> str:
        """What DVC calls it."""
        return f"{self.name}@{self.instance}" if self.instance else self.name

    @property
    def folder(self) -> Path:
        """Where its outputs are."""
        return OUTPUTS / self.name / self.instance

    def of(self, instance: str) -> "Stage":
        """The same stage for one device."""
        return replace(self, instance=instance)


CHAIN = (
    Stage("prepare", retries=True),
    Stage("control", trains=True),
    Stage("teacher", trains=True, retries=True),  # it may have to be fetched
    Stage("soft_labels", trains=True),
    Stage("student", trains=True),
    Stage("compress"),
    Stage("evaluate"),
    Stage("register", retries=True),
)
DEVICE_CHAIN = (Stage("device", trains=True), Stage("deploy", retries=True))  # once for each of `devices`
STAGES = {stage.name: stage for stage in CHAIN + DEVICE_CHAIN}


def before(name: str) -> tuple[Stage, ...]:
    """The chain up to, and without, the stage ``name``."""
    return CHAIN[: CHAIN.index(STAGES[name])]
