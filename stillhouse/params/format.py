"""The format of a table of texts: keys of the section ``data``, and options of ``stillhouse score``."""

from typing import Annotated, Literal

from pydantic import Field, field_validator

from stillhouse.params.section import Name, Section

TABS = ("tab", "\\t")


class Format(Section):
    """The format of a table of texts. What is ``auto`` is detected and logged."""

    delimiter: Annotated[
        str,
        Field(description="between fields of delimited text: auto (comma, semicolon, tab, pipe), tab, or a character"),
    ]
    quoting: Annotated[
        Literal["auto", "minimal", "none"],
        Field(description="delimited text: minimal (fields may be in double quotes), none (quotes are text), auto"),
    ]
    escape: Annotated[
        str | None, Field(description="delimited text: the escape character, auto (backslash or none), null: none")
    ]
    encoding: Annotated[Name, Field(description="of text files: auto (UTF-8, UTF-16, UTF-32), or a Python codec")]

    @field_validator("delimiter")
    @classmethod
    def _one_character(cls, value: str) -> str:
        if value in TABS:
            return "\t"
        if value != "auto" and (len(value) != 1 or value in '"\r\n'):
            raise ValueError("must be auto, tab, or one character other than a double quote or a line break")
        return value

    @field_validator("escape")
    @classmethod
    def _one_character_or_none(cls, value: str | None) -> str | None:
        if value not in ("auto", None) and (len(value) != 1 or value.isalnum() or value in '"\r\n\t'):
            raise ValueError("must be auto, null, or one character such as a backslash")
        return value
