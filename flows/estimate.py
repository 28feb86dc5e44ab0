"""``stillhouse estimate``: tokens, price and time of the labels of a language model. No call is sent."""

import sys

from stillhouse.data.splits import label_names, labels_of, read_split
from stillhouse.errors import BadInput
from stillhouse.labelling.labelling import plan
from stillhouse.labelling.language_model.estimate import Estimate, estimate
from stillhouse.params import load_params
from stillhouse.pipeline.artefacts import path
from stillhouse.project import MODEL_ANSWERS


def main() -> None:
    """Run the command. Exits with status 1 and a message if the parameters or the data do not allow an estimate."""
    try:
        print(estimated())
    except BadInput as error:
        sys.exit(f"\n{error}")


def estimated() -> Estimate:
    """Estimate what the stage ``label`` will cost, for random texts in place of those that ``label.choose`` selects.

    Raises:
        BadInput: ``label.source`` is not ``language_model``, or ``prepare`` has not run.
    """
    params = load_params()
    if params.label.source != "language_model":
        raise BadInput(f"label.source is {params.label.source}. Set label.source: language_model, and label.model.")
    files = [path(name) for name in ("train", "test", "unlabelled")]
    if not all(file.exists() for file in files):
        raise BadInput("There are no prepared texts yet. Run: dvc repro prepare")
    train, test, unlabelled = splits = [read_split(file) for file in files]
    rows = plan(params.label.texts, params.label, labels_of(train), len(test), len(unlabelled), params.seed)
    counts = ((rows.train, "for the audit"), (rows.unlabelled, "without a label"), (rows.test, "of the test set"))
    print("texts: " + ", ".join(f"{len(chosen):,} {name}" for chosen, name in counts))
    parts = zip(splits, (rows.train, rows.test, rows.unlabelled), strict=True)
    texts = [text for split, chosen in parts for text in split.select(chosen)["text"]]
    names = label_names(train)
    classes = {name: params.data.descriptions.get(name) for name in names}
    examples = [(text, names[number]) for text, number in zip(train["text"], train["label"], strict=True)]
    return estimate(texts, classes, examples, params.label, MODEL_ANSWERS)


if __name__ == "__main__":
    from flows.cli import main as start

    start("estimate")
