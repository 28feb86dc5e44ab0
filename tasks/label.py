"""Stage ``label``: labels of a machine for texts without a label, from a language model or a file.

With ``label.source: none`` and labelled data the stage writes empty results.
"""

from stillhouse.data.splits import label_names
from stillhouse.labelling.answers import MachineLabels, no_labels
from stillhouse.labelling.beginning import begin_without_labels
from stillhouse.models.device import choose_device
from stillhouse.pipeline.context import Context
from stillhouse.pipeline.stage import Metrics, command


def label(context: Context) -> Metrics:
    """Write ``answers/`` (soft labels of texts in ``unlabelled``) and ``splits/`` (splits that replace others)."""
    for folder in ("answers", "splits"):
        (context.out / folder).mkdir()
    train, unlabelled = context.read("train", "unlabelled")
    numbers: Metrics = {}
    if not len(train):
        device = choose_device(context.device)
        numbers = begin_without_labels(context.params, train, unlabelled, device, context.out / "splits")
    found: MachineLabels = no_labels(len(label_names(train)))
    found.save(context.out / "answers")
    return {"texts": len(found), **numbers}


if __name__ == "__main__":
    command("label", label)
