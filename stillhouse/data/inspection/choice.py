"""Chooses the text and the label column by names and values. A close call is an error that names the candidates."""

import shlex

from stillhouse.data.inspection.names import BESIDE, LABEL, Standing, standing
from stillhouse.data.inspection.names import TEXT as TEXT_NAMES
from stillhouse.data.inspection.profile import IDS, TEXT, Profile
from stillhouse.errors import BadInput

MARGIN = 2.0  # the score of the chosen column is at least so many times that of the next one
FEW_VALUES, FEW_SHARE = 20, 0.05  # a class column without a usual name has at most the larger of this many values
MOST_CLASSES = 1000
LONGEST_CLASS = 100  # mean characters
SURE = 2.0  # least score of a label column that is chosen
# Scores of a label column by the standing of its name: of words, and of numbers or truth values.
WORDS_SCORE = {Standing.WHOLE: 8.0, Standing.PART: 4.0, Standing.NONE: 2.0}
NUMBERS_SCORE = {Standing.WHOLE: 4.0, Standing.PART: 2.0, Standing.NONE: 1.5}
BESIDE_SCORE = 0.5  # of a column such as language or country
NO_LABELS = (
    "If no text has a label, name the classes instead, best with a few words that occur in their texts:\n"
    "  --label '' --class 'billing: invoices, payments, refunds' --class 'shipping: delivery, parcels, delays'\n"
    'This sets data.label_column: null and data.classes; docs/own-data.md explains it ("No labels at all").'
)


def choose_text(where: str, columns: list[Profile]) -> str:
    """Return the name of the text column: long values of which most are distinct, with a usual name if possible.

    Args:
        where: names the table in messages.
        columns: the columns that can be chosen.

    Raises:
        BadInput: no column has texts, or several columns do.
    """
    scores = {column.name: _text_score(column) for column in columns if _may_be_text(column)}
    order = sorted(scores, key=lambda name: -scores[name])
    if not order:
        raise BadInput(f"{where}: no column has texts. Name it with --text COLUMN. {_listed(columns)}")
    if len(order) > 1 and scores[order[0]] < MARGIN * scores[order[1]]:
        close = [name for name in order if scores[order[0]] < MARGIN * scores[name]]
        raise BadInput(f"{where}: {_several('the text', close, 'text')} {_listed(columns)}")
    return order[0]


def choose_label(where: str, columns: list[Profile]) -> str:
    """Return the name of the label column: few values that recur, with a usual name if possible.

    Args:
        where: names the table in messages.
        columns: the columns that can be chosen, without that of the texts.

    Raises:
        BadInput: no column is surely the label.
    """
    scores = {column.name: _label_score(column) for column in columns if _may_be_label(column)}
    order = sorted(scores, key=lambda name: -scores[name])
    single = [column for column in columns if column.distinct == 1 and standing(column.name, LABEL) == Standing.WHOLE]
    if not order and len(single) == 1:
        raise BadInput(
            f"{where}: the column {single[0].name!r} has one class alone, {single[0].sample[0]!r}. A classifier needs "
            "two or more. Add texts of other classes, or name another column with --label COLUMN."
        )
    if not order:
        raise BadInput(
            f"{where}: no column has labels (few values that recur). Name it with --label COLUMN. {_listed(columns)}\n"
            f"{NO_LABELS}"
        )
    best = order[0]
    close = [name for name in order if scores[best] < MARGIN * scores[name]]
    if scores[best] < SURE:
        raise BadInput(f"{where}: {_several('the label', order, 'label')} {_listed(columns)}\n{NO_LABELS}")
    if len(close) > 1:
        raise BadInput(f"{where}: {_several('the label', close, 'label')} {_listed(columns)}")
    return best


def _may_be_text(column: Profile) -> bool:
    if not (column.is_text and column.filled and not column.has_class_names):
        return False
    usual = standing(column.name, TEXT_NAMES) == Standing.WHOLE
    return column.has_distinct_values and (column.kind == TEXT or (usual and column.kind == IDS))


def _text_score(column: Profile) -> float:
    return column.mean_length * (1 + standing(column.name, TEXT_NAMES))


def _may_be_label(column: Profile) -> bool:
    if column.has_class_names:
        return column.distinct >= 2
    most = min(column.filled / 2, MOST_CLASSES)
    if standing(column.name, LABEL) == Standing.NONE:
        most = min(most, max(FEW_VALUES, FEW_SHARE * column.filled))
    usable = column.kind not in ("dates", "addresses") and column.mean_length <= LONGEST_CLASS
    return 2 <= column.distinct <= most and usable


def _label_score(column: Profile) -> float:
    stands = standing(column.name, LABEL)
    if stands == Standing.NONE and standing(column.name, BESIDE) and not column.has_class_names:
        return BESIDE_SCORE
    is_words = column.has_class_names or column.kind == TEXT
    return (WORDS_SCORE if is_words else NUMBERS_SCORE)[stands]


def _several(what: str, names: list[str], option: str) -> str:
    shown = " or ".join(map(repr, names))
    return (
        f"{what} may be in {shown}, which is no safe choice. Name it, for example: --{option} {shlex.quote(names[0])}."
    )


def _listed(columns: list[Profile]) -> str:
    return "\n".join(["The columns:", *(f"  {column}" for column in columns)])
