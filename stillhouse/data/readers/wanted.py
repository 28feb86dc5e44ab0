"""The columns and format settings for a reader, and the names of these settings in messages."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from stillhouse.errors import BadInput, listed
from stillhouse.params import Data, Format


@dataclass(frozen=True)
class Wanted:
    """The columns to read and the format settings.

    Attributes:
        columns: maps settings (``text_column``, ``label_column``) to names of columns.
        format: delimiter, encoding, quoting and escape.
        prefix: of the settings in messages: ``data.`` for ``params.yaml``, ``--`` for options of a command.
    """

    columns: dict[str, str]
    format: Format
    prefix: str = "data."

    def key(self, setting: str) -> str:
        """Return a setting as the user writes it: ``data.text_column`` or ``--text-column``."""
        return self.prefix + (setting.replace("_", "-") if self.prefix == "--" else setting)

    def set(self, setting: str, value: str) -> str:
        """Return how the user sets ``setting`` to ``value``: ``data.quoting: none``, or ``--quoting none``."""
        if self.prefix == "--" and value == "null":
            value = "none"
        return f"{self.key(setting)}{' ' if self.prefix == '--' else ': '}{value}"

    def check(self, where: Path | str, present: Sequence[str]) -> None:
        """Raise BadInput if a column is missing or occurs twice in ``present``, or two settings name the same one."""
        for setting, name in self.columns.items():
            if name not in present:
                raise BadInput(
                    f"{where} has no column {name!r} ({self.key(setting)}). It has: {listed(list(map(repr, present)))}."
                )
            if present.count(name) > 1:
                raise BadInput(f"{where} has more than one column {name!r}. Rename all but one.")
        if len(set(self.columns.values())) < len(self.columns):
            first, *_, last = self.columns
            raise BadInput(f"{self.key(first)} and {self.key(last)} are both {self.columns[first]!r}.")


def may_lack_labels(data: Data, split: str) -> bool:
    """Whether a split may have no label column: no text has a label, or no text for training has one."""
    return data.label_column is None or (data.without_labels and split != "test")


def wanted_columns(data: Data, labelled: bool = True) -> Wanted:
    """Return the text column that ``data`` names, and the label column if there is one and the table has labels."""
    columns = {"text_column": data.text_column}
    return Wanted(columns | ({"label_column": data.label_column} if labelled and data.label_column else {}), data)
