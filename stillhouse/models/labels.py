"""Matches the labels of a finished classifier to the classes of the data."""

import json
import re
from collections.abc import Mapping, Sequence

from stillhouse.errors import BadInput, listed

ENTAILMENT, OTHERS = "entailment", ("contradiction", "not entailment")


def match_labels(
    labels: Sequence[str], classes: Sequence[str], mapping: Mapping[str, str | None], model: str
) -> list[list[int]]:
    """Return the numbers of the labels of each class, at least one.

    Equal names match. Names that differ only in case, underscores, hyphens and blanks around them also match if no
    other name does. ``mapping`` has precedence.

    Args:
        labels: of the checkpoint, by number.
        classes: of the data, by number.
        mapping: the class of a label, None for a label that is left out (``teacher.labels``).
        model: the name of the checkpoint, for messages.

    Raises:
        BadInput: a class without a label, a label without a class, or a name in ``mapping`` that does not exist.
    """
    unknown = [label for label in mapping if _find(label, labels) is None]
    wrong = [name for name in mapping.values() if name is not None and _find(name, classes) is None]
    given = {_find(label, labels): name for label, name in mapping.items()}
    groups: list[list[int]] = [[] for _ in classes]
    unmatched = []
    for number, label in enumerate(labels):
        wanted = given.get(label, label)
        if wanted is None:
            continue
        name = _find(wanted, classes)
        if name is None or (label not in given and label != name and _find(name, labels) != label):
            unmatched.append(label)
        else:
            groups[classes.index(name)].append(number)
    empty = [name for name, group in zip(classes, groups, strict=True) if not group]
    problems = {
        "classes of the data without a label": empty,
        "labels without a class": unmatched,
        "in teacher.labels, no labels of the checkpoint": unknown,
        "in teacher.labels, no classes of the data": wrong,
    }
    if len(labels) < len(classes):
        raise BadInput(
            f"teacher.labels: {model} has {len(labels)} labels ({listed(labels)}) and the data {len(classes)} classes "
            f"({listed(classes)}). Each class needs a label of its own: use another model, or teacher.finetune: auto."
        )
    if any(problems.values()):
        found = "; ".join(f"{what}: {listed(names)}" for what, names in problems.items() if names)
        raise BadInput(
            f"teacher.labels: the labels of {model} ({listed(labels)}) are not the classes of the data "
            f"({listed(classes)}). {found[0].upper()}{found[1:]}. Write the class of each label whose name differs, or "
            f"null to leave it out, below teacher in params.yaml: {_example(unmatched or labels, empty)}"
        )
    return groups


def entailment_of(labels: Sequence[str]) -> int | None:
    """Return the number of the label ``entailment`` of a model of natural language inference; None for another."""
    keys = [_key(label) for label in labels]
    return keys.index(ENTAILMENT) if ENTAILMENT in keys and any(other in keys for other in OTHERS) else None


def all_match(labels: Sequence[str], classes: Sequence[str]) -> bool:
    """Whether each class has the name of a label."""
    return all(_find(name, labels) is not None for name in classes)


def _find(name: str, names: Sequence[str]) -> str | None:
    """Return the name that is equal, or the only one that is equal without case, underscores and outer blanks."""
    if name in names:
        return name
    near = [other for other in names if _key(other) == _key(name)]
    return near[0] if len(near) == 1 else None


def _key(name: str) -> str:
    return re.sub(r"[\s_-]+", " ", name).strip().casefold()


def _example(labels: Sequence[str], classes: Sequence[str]) -> str:
    targets = [json.dumps(name, ensure_ascii=False) for name in classes]
    shown = [
        f"{json.dumps(label, ensure_ascii=False)}: {targets[row] if row < len(targets) else 'null'}"
        for row, label in enumerate(labels[:20])
    ]
    return "labels: {" + ", ".join(shown) + (", ..." if len(labels) > 20 else "") + "}"
