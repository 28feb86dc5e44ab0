"""Stage ``label``: labels of a machine for texts without a label, from a language model, a file, or descriptions.

With ``label.source: none`` and labels in the source the stage writes empty results.
"""

from pathlib import Path

from datasets import Dataset

from stillhouse.data.splits import label_names
from stillhouse.files import write_json
from stillhouse.labelling.answers import no_machine_labels
from stillhouse.pipeline.context import Context
from stillhouse.pipeline.stage import Metrics, command

REPLACED = "A split in this folder replaces that of the stage prepare, for the stages after label.\n"


def label(context: Context) -> Metrics:
    """Write ``answers/`` (a machine's labels), ``splits/`` (splits that replace others) and ``costs.json``."""
    for folder in ("answers", "splits"):
        (context.out / folder).mkdir()
    (context.out / "splits" / "README").write_text(REPLACED, encoding="utf-8")  # DVC warns about an empty folder
    train, unlabelled = context.read("train", "unlabelled")
    if context.params.label.source != "none":
        return _machine(context, train, unlabelled)
    no_machine_labels(len(label_names(train))).save(context.out / "answers")
    write_json(context.out / "costs.json", {})
    if not context.params.data.without_labels:
        return {"texts": 0}
    from stillhouse.labelling.beginning import begin_without_labels  # imports PyTorch, which takes seconds
    from stillhouse.models.device import choose_device

    device = choose_device(context.device)
    numbers = begin_without_labels(context.params, train, unlabelled, device, context.out / "splits")
    source = "the finished classifier" if context.params.teacher.finetune == "never" else "data.classes"
    return {"texts": 0, "source": source, **numbers}


def _machine(context: Context, train: Dataset, unlabelled: Dataset) -> Metrics:
    from stillhouse.labelling.labeller import FileLabels, LanguageModel  # these import PyTorch
    from stillhouse.labelling.labelling import machine_labels, train_on_machine_labels

    params, settings, names = context.params, context.params.label, label_names(train)
    (test,), descriptions = context.read("test"), params.data.descriptions
    labeller: FileLabels | LanguageModel
    if settings.source == "file":
        labeller = FileLabels(Path(str(settings.path)), settings.text_column, settings.label_column, names)
    else:
        labeller = LanguageModel(settings, {name: descriptions.get(name) for name in names})
    context.run.dataset(context.path("unlabelled"), "unlabelled")
    teacher = params.teacher.each[0]
    found = machine_labels(labeller, settings, teacher, descriptions, train, test, unlabelled, params.seed)
    labels = found.labels
    if not len(train):
        labels = train_on_machine_labels(labels, unlabelled, names, context.out / "splits")
    labels.save(context.out / "answers")
    costs = labeller.totals()
    write_json(context.out / "costs.json", costs)
    context.run.metrics({"costs": costs})
    return {
        **labeller.summary(),
        "texts": len(found.labels.unlabelled),
        "test_texts": len(found.labels.test),
        "audit": found.audit.content() if found.audit else None,
    }


if __name__ == "__main__":
    command("label", label)
