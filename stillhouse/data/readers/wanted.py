"""What a reader is asked for: columns, the format settings, and the names of these settings in messages."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from stillhouse.errors import BadInput, listed
from stillhouse.params import Data, Format


@dataclass(frozen=True)
class Wanted:
    """``columns`` maps settings (``text_column``, ``label_column``) to names of columns.

    ``prefix`` is ``data.`` for ``params.yaml`` and ``--`` for options of a command.
    """

    columns: dict[str, str]
    format: Format
    prefix: str = "data."

    def key(self, setting: str) -> str:
        """A setting as the user writes it: ``data.text_column`` or ``--text-column``."""
        return self.prefix + (setting.replace("_", "-") if self.prefix == "--" else setting)

    def set(self, setting: str, value: str) -> str:
        """How the user sets it: ``data.quoting: none``, or ``--quoting none``."""
        if self.prefix == "--" and value == "null":
            value = "none"
        return f"{self.key(setting)}{' ' if self.prefix == '--' else ': '}{value}"

    def check(self, where: Path | str, there: Sequence[str]) -> None:
        """Raise BadInput where a column is not ``there``, or where two settings name the same one."""
        for setting, name in self.columns.items():
            if name not in there:
                raise BadInput(
                    f"{where} has no column {name!r} ({self.key(setting)}). It has: {listed(list(map(repr, there)))}."
                )
            if there.count(name) > 1:
                raise BadInput(f"{where} has more than one column {name!r}. Rename all but one.")
        if len(set(self.columns.values())) < len(self.columns):
            first, *_, last = self.columns
            raise BadInput(f"{self.key(first)} and {self.key(last)} are both {self.columns[first]!r}.")


def of_data(data: Data, labelled: bool = True) -> Wanted:
    """The text column that ``data`` names, and the label column where the table has labels."""
    columns = {"text_column": data.text_column}
    return Wanted(columns | ({"label_column": data.label_column} if labelled else {}), data)
