"""Stage ``label``: labels of a machine for texts without a label, from a language model or a file.

With ``label.source: none`` the stage writes empty results.
"""

from pathlib import Path

from stillhouse.data.splits import label_names
from stillhouse.labelling.answers import no_machine_labels
from stillhouse.pipeline.context import Context
from stillhouse.pipeline.stage import Metrics, command


def label(context: Context) -> Metrics:
    """Write ``answers/`` (a machine's labels) and ``splits/`` (splits that replace others)."""
    for folder in ("answers", "splits"):
        (context.out / folder).mkdir()
    train, test, unlabelled = context.read("train", "test", "unlabelled")
    names, settings = label_names(train), context.params.label
    if settings.source == "none":
        no_machine_labels(len(names)).save(context.out / "answers")
        return {"texts": 0}
    from stillhouse.labelling.labeller import FileLabels  # these import PyTorch, which takes seconds
    from stillhouse.labelling.labelling import machine_labels

    labeller = FileLabels(Path(str(settings.path)), settings.text_column, settings.label_column, names)
    found = machine_labels(labeller, settings, context.params.teacher, train, test, unlabelled, context.params.seed)
    found.labels.save(context.out / "answers")
    context.run.dataset(context.path("unlabelled"), "unlabelled")
    return {
        "texts": len(found.labels.unlabelled),
        "without_answer": len(unlabelled) - len(found.labels.unlabelled),
        "audit": found.audit.content() if found.audit else None,
    }


if __name__ == "__main__":
    command("label", label)
