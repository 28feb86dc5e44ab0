"""``stillhouse next``: write the texts whose label would help most to a CSV file, to be filled in by people."""

from pathlib import Path

from flows.shared.environment import own_prefect_home

own_prefect_home()

from flows.shared.stopping import command
from stillhouse.choices import Choice
from stillhouse.data.added import read_added
from stillhouse.errors import BadInput
from stillhouse.labelling.unlabelled import next_texts, unlabelled_texts, write_next
from stillhouse.params import load_params
from stillhouse.pipeline.artefacts import path, split


@command
def main(target: str, count: int, choose: Choice, force: bool) -> None:
    """Choose the texts from the outputs of the last run. The same outputs give the same file.

    Args:
        target: the file to write.
        count: number of texts.
        choose: how they are chosen (:func:`stillhouse.labelling.choice.choose`).
        force: replace an existing file.
    """
    file, params = Path(target), load_params()
    if file.exists() and not force:
        raise BadInput(f"{file} exists. Name another file, or replace it with --force.")
    if not file.parent.is_dir():
        raise BadInput(f"The folder {file.parent.resolve()} does not exist. Make it, or name a file elsewhere.")
    if file.suffix.lower() != ".csv":
        raise BadInput(f"{file} is of an unknown kind; the file to write must end in .csv.")
    learnt, given, answers = split("train"), path("train"), path("soft_labels/answers")
    if not all(place.exists() for place in (learnt, given, answers)):
        raise BadInput("There are no soft labels yet, by which texts are chosen. Run: make run")
    unlabelled = unlabelled_texts(learnt, given, answers, read_added(params.data.added_labels), params.seed)
    write_next(file, unlabelled, next_texts(unlabelled, choose, count, params.seed))
    print(f"{file}: {count} of {len(unlabelled.texts):,} texts without a label. Fill in the column label, then run:")
    print(f"stillhouse add {file}")


if __name__ == "__main__":
    from flows.cli import main as start

    start("next")
