"""Converts columns of any type to text and labels. Refuses types that are neither."""

from decimal import Decimal
from typing import Any

import pyarrow as pa

from stillhouse.data.readers.wanted import Wanted
from stillhouse.errors import BadInput

NESTED = (
    "Texts with several labels (multi-label) are not supported: each combination would become a separate class. "
    "Leave one label for each text, or train one model for each label."
)


def number_name(number: str) -> str:
    """Return a number as the name of a class: 1.0 and 1 are the same class."""
    try:
        value = Decimal(number)
    except ArithmeticError:  # not a number, or an infinity
        return number
    if value.is_finite() and value == value.to_integral_value() and value.adjusted() < 400:
        return str(int(value))
    return number


def plain_type(kind: pa.DataType) -> pa.DataType:
    """Return the value type of a dictionary-encoded column, otherwise the type itself."""
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def is_text(kind: pa.DataType) -> bool:
    """Whether a column has strings or nulls only."""
    types, plain = pa.types, plain_type(kind)
    return any(test(plain) for test in (types.is_string, types.is_large_string, types.is_string_view, types.is_null))


def is_label(kind: pa.DataType) -> bool:
    """Whether each value of a column can be one class."""
    types, plain = pa.types, plain_type(kind)
    tests = (types.is_integer, types.is_floating, types.is_decimal, types.is_boolean)
    return is_text(kind) or any(test(plain) for test in tests)


def check_types(where: Any, schema: pa.Schema, wanted: Wanted) -> None:
    """Raise BadInput if the text column has no text, or the label column no labels."""
    for setting, name in wanted.columns.items():
        kind = schema.field(name).type
        place = f"{where}: column {name!r} ({wanted.key(setting)}) holds {kind}"
        if setting == "text_column" and not is_text(kind):
            raise BadInput(f"{place}, not text.")
        if setting == "label_column" and not is_label(kind):
            nested = pa.types.is_nested(plain_type(kind))
            raise BadInput(f"{place}, not {'one label. ' + NESTED if nested else 'text or whole numbers.'}")


def strings(values: pa.Array, names: list[str] | None = None) -> pa.Array:
    """Return text or labels as strings. ``names`` are the classes by class number; a negative number is no label."""
    kind = plain_type(values.type)
    if is_text(kind):
        return values.cast(kind).cast(pa.string())
    return pa.array([_plain(value, names) for value in values.to_pylist()], pa.string())


def _plain(value: Any, names: list[str] | None) -> str | None:
    if value is None or value != value:  # a missing number may be NaN
        return None
    if names is not None:
        return names[value] if 0 <= value < len(names) else None
    return str(value) if isinstance(value, bool) else number_name(str(value))
