"""The stages of the pipeline, in order: what each stage reads, writes and depends on, and how it is run.

This table is the only definition. ``dvc.yaml`` is generated from it. The code of a stage is ``tasks/<name>.py``.

Names of artefacts: ``train``, ``validation``, ``test``, ``unlabelled`` and ``heldout`` are the splits that ``prepare``
writes. ``inputs/<name>`` is a link to one of the user's local files. Every other name is ``<stage>/<file>``.
"""

from dataclasses import dataclass, replace
from pathlib import Path

from stillhouse.project import OUTPUTS

SPLITS = ("train", "validation", "test", "unlabelled", "heldout")
METRICS = "metrics.json"  # written by every stage
OTHER_TEACHERS = 4  # most entries of teacher.others: each has a link in inputs/


@dataclass(frozen=True)
class Plot:
    """A CSV file that ``dvc plots`` shows."""

    file: str
    x: str
    y: str
    title: str
    template: str = ""


@dataclass(frozen=True)
class Stage:
    """One stage.

    Attributes:
        name: the name of the stage, of ``tasks/<name>.py`` and of its folder in ``outputs/``.
        summary: one line, shown by DVC.
        reads: artefacts of earlier stages, and links in ``inputs/``.
        writes: files and folders that DVC stores.
        beside: files about this machine or this run (timings, a report). DVC does not store them.
        params: keys of ``params.yaml``. The stage can read no other key; DVC reruns it when one of these changes.
        plot: a table that DVC stores and plots.
        trains: whether the stage trains, and so needs a slot on the GPU.
        retries: whether a second try can help (network).
        registers: whether the stage registers a model, for which it needs MLflow itself.
        per_device: whether the stage runs once for each of ``devices``. Keys and titles then contain ``{device}``.
        instance: the device that it runs for; empty in the table.
    """

    name: str
    summary: str
    reads: tuple[str, ...]
    writes: tuple[str, ...]
    params: tuple[str, ...]
    beside: tuple[str, ...] = ()
    plot: Plot | None = None
    trains: bool = False
    retries: bool = False
    registers: bool = False
    per_device: bool = False
    instance: str = ""

    @property
    def address(self) -> str:
        """The name of the stage in DVC."""
        return f"{self.name}@{self.instance}" if self.instance else self.name

    @property
    def folder(self) -> Path:
        """The folder of the outputs."""
        return OUTPUTS / self.name / self.instance

    def of(self, device: str) -> "Stage":
        """Return the same stage for one device."""
        return replace(self, instance=device)

    @property
    def keys(self) -> list[str]:
        """``params``, with the name of the device inserted."""
        return [key.replace("{device}", self.instance) for key in self.params]


# A split in label/splits replaces that of prepare (pipeline/artefacts.py).
LEARNT = ("train", "validation", "label/splits")
TEACHERS = ("inputs/teacher", *(f"inputs/teacher{number}" for number in range(2, OTHER_TEACHERS + 2)))
STUDENT = ("student.network", "student.start", "student.training", "student.vocabulary")
EVALUATED = ("evaluate.batch_size", "evaluate.bootstrap", "evaluate.cases")
GATED = ("register.min_retention", "register.min_cases", "register.min_class_recall")
ANSWERED = ("register.answered_accuracy", "register.answered_agreement")
PROVENANCE = (
    "data.source",
    "data.path",
    "data.hub_id",
    "data.hub_config",
    "data.text_column",
    "data.label_column",
    "tracking",
)

CHAIN = (
    Stage(
        "prepare",
        "A source of labelled texts -> clean splits without duplicates, and a data card",
        reads=("inputs/data", "inputs/added"),
        writes=(*(f"{name}.arrow" for name in SPLITS), "card.json"),
        params=("seed", "data"),
        retries=True,
    ),
    Stage(
        "label",
        "Labels of a machine for texts without a label: from a language model, a file, or class descriptions",
        reads=("train", "validation", "test", "unlabelled", "inputs/labels", "inputs/prompt", "inputs/teacher"),
        writes=("answers", "splits"),
        beside=("costs.json",),
        params=("seed", *("data.classes", "data.label_column", "data.labels_per_class"), "label", "teacher"),
        retries=True,
    ),
    Stage(
        "control",
        "The hard-label baseline: the student's network trained on the labels alone",
        reads=(*LEARNT, "unlabelled"),
        writes=("hints", "model"),
        params=("seed", "student.network", "student.training", "student.vocabulary", "teacher.regularise"),
        plot=Plot("training.csv", "epoch", "loss", "Control, training loss"),
        trains=True,
    ),
    Stage(
        "teacher",
        "The large model, fine-tuned, as a linear probe or as it is; further ones beside it",
        reads=(*LEARNT, "unlabelled", "label/answers", "control/hints", *TEACHERS),
        writes=("model", "vectors", "others"),
        params=("seed", "teacher", "label.source", "label.weight", "data.classes"),
        plot=Plot("training.csv", "epoch", "loss", "Teacher, training loss"),
        trains=True,
        retries=True,  # the pretrained model may come from a hub
    ),
    Stage(
        "soft_labels",
        "The soft labels of the transfer set, from the teachers and the second teachers",
        reads=(
            *(*LEARNT, "unlabelled", "heldout", "test"),
            *("label/answers", "control/model", "teacher/model", "teacher/vectors", "teacher/others"),
            "teacher/metrics.json",
        ),
        writes=("answers", "words.npy", "test.npy"),
        params=("seed", "soft_labels", *STUDENT, "teacher.bf16"),
        trains=True,
    ),
    Stage(
        "student",
        "The small network, trained on the soft labels",
        reads=(
            *(*LEARNT, "heldout", "test", "inputs/cases", "control/model", "teacher/model"),
            *("teacher/others", "soft_labels/answers", "soft_labels/words.npy", "soft_labels/test.npy"),
        ),
        writes=("model", "smaller"),
        params=("seed", "student", "student.size", "sizes", *EVALUATED, *GATED),
        plot=Plot("training.csv", "epoch", "loss", "Student, training loss"),
        trains=True,
    ),
    Stage(
        "compress",
        "The student as small files for serving, compared with the trained one",
        reads=(
            *LEARNT,
            "unlabelled",
            "heldout",
            "control/model",
            "student/model",
            "student/smaller",
            "student/metrics.json",
            "soft_labels/answers",
        ),
        writes=("model", "smaller"),
        beside=("speed.json",),
        params=("compress", "student.size", "sizes"),
    ),
    Stage(
        "evaluate",
        "Every model on the same test set",
        reads=(
            *("train", "validation", "heldout", "test", "label/splits", "prepare/card.json", "inputs/cases"),
            *("label/answers", "label/metrics.json", "teacher/metrics.json"),
            *("control/model", "teacher/model", "teacher/vectors", "teacher/others"),
            *("soft_labels/answers", "soft_labels/test.npy", "student/model"),
            *("compress/model", "compress/smaller", "compress/metrics.json"),
        ),
        writes=("classes.csv", "confusion.png", "doubtful.csv", "certificate.json"),
        beside=("speed.json", "report.html", "frontier.png", "reliability.png", "cascade.png"),
        params=("seed", "data.source", "data.path", "data.hub_id", "evaluate", "costs", *ANSWERED),
        plot=Plot("answers.csv", "answer", "label", "Compressed student on the test set", template="confusion"),
    ),
    Stage(
        "register",
        "A registered version with its evidence; champion if it passes the gate",
        reads=(
            *("test", "compress/model", "evaluate/answers.csv", "evaluate/certificate.json", "evaluate/classes.csv"),
            "evaluate/metrics.json",
            *("prepare/card.json", "label/metrics.json", "teacher/others", "compress/metrics.json"),  # the model card
        ),
        writes=("model", "receipt.json"),
        params=("register", *PROVENANCE),
        retries=True,
        registers=True,
    ),
)
DEVICE_CHAIN = (
    Stage(
        "device",
        "The student of one device, distilled and compressed for it",
        reads=(
            *(*LEARNT, "unlabelled", "heldout", "control/model", "teacher/model"),
            *("soft_labels/answers", "soft_labels/words.npy"),
        ),
        writes=("model",),
        beside=("speed.json",),
        params=(
            *("seed", "student", "student.size", "compress", "sizes"),
            *("devices.{device}.size", "devices.{device}.student", "devices.{device}.compress"),
        ),
        plot=Plot("training.csv", "epoch", "loss", "Student of {device}, training loss"),
        trains=True,
        per_device=True,
    ),
    Stage(
        "deploy",
        "The student of one device on the test set, registered and judged by the device's gate",
        reads=(
            *("test", "device/model", "device/metrics.json", "inputs/cases"),
            *("evaluate/answers.csv", "evaluate/certificate.json", "evaluate/classes.csv", "evaluate/metrics.json"),
            *("prepare/card.json", "label/metrics.json", "teacher/others", "compress/metrics.json"),  # the model card
        ),
        writes=("model", "receipt.json"),
        beside=("speed.json",),
        params=("seed", "evaluate", "register", *PROVENANCE, "devices.{device}", "devices.{device}.size"),
        retries=True,
        registers=True,
        per_device=True,
    ),
)
STAGES = {stage.name: stage for stage in CHAIN + DEVICE_CHAIN}


def before(name: str) -> tuple[Stage, ...]:
    """Return the stages of the chain before the stage ``name``."""
    return CHAIN[: CHAIN.index(STAGES[name])]
