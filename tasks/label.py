"""Stage ``label``: labels of a machine for texts without a label, from a language model or a file.

With ``label.source: none`` and labelled data the stage writes empty results.
"""

from stillhouse.data.splits import label_names
from stillhouse.labelling.answers import MachineLabels, no_labels
from stillhouse.pipeline.context import Context
from stillhouse.pipeline.stage import Metrics, command


def label(context: Context) -> Metrics:
    """Write ``answers/`` (soft labels of texts in ``unlabelled``) and ``splits/`` (splits that replace others)."""
    for folder in ("answers", "splits"):
        (context.out / folder).mkdir()
    (train,) = context.read("train")
    found: MachineLabels = no_labels(len(label_names(train)))
    found.save(context.out / "answers")
    return {"texts": len(found)}


if __name__ == "__main__":
    command("label", label)
