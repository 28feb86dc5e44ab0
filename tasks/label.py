"""Stage ``label``: labels of a machine for texts without a label, from a language model or a file.

With ``label.source: none`` the stage writes empty results.
"""

from pathlib import Path

from stillhouse.data.splits import label_names
from stillhouse.files import write_json
from stillhouse.labelling.answers import no_machine_labels
from stillhouse.pipeline.context import Context
from stillhouse.pipeline.stage import Metrics, command

REPLACED = "A split in this folder replaces that of the stage prepare, for the stages after label.\n"


def label(context: Context) -> Metrics:
    """Write ``answers/`` (a machine's labels) and ``splits/`` (splits that replace others)."""
    for folder in ("answers", "splits"):
        (context.out / folder).mkdir()
    (context.out / "splits" / "README").write_text(REPLACED, encoding="utf-8")  # DVC warns about an empty folder
    params, settings = context.params, context.params.label
    train, test, unlabelled = context.read("train", "test", "unlabelled")
    names = label_names(train)
    if settings.source == "none":
        no_machine_labels(len(names)).save(context.out / "answers")
        write_json(context.out / "costs.json", {})
        return {"texts": 0}
    from stillhouse.labelling.labeller import FileLabels, LanguageModel  # these import PyTorch, which takes seconds
    from stillhouse.labelling.labelling import machine_labels

    labeller: FileLabels | LanguageModel
    if settings.source == "file":
        labeller = FileLabels(Path(str(settings.path)), settings.text_column, settings.label_column, names)
    else:
        labeller = LanguageModel(settings, {name: (params.data.classes or {}).get(name) for name in names})
    context.run.dataset(context.path("unlabelled"), "unlabelled")
    found = machine_labels(labeller, settings, params.teacher.each[0], train, test, unlabelled, params.seed)
    found.labels.save(context.out / "answers")
    costs = labeller.totals()
    write_json(context.out / "costs.json", costs)
    context.run.metrics({"costs": costs})
    return {
        "texts": len(found.labels.unlabelled),
        "test_texts": len(found.labels.test),
        "audit": found.audit.content() if found.audit else None,
    }


if __name__ == "__main__":
    command("label", label)
