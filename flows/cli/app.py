"""The command line's application and the options that several commands share."""

from typing import Annotated

import typer

DISTIL, LABEL, FIND_OUT, USE = "Distil", "Label", "Find out", "Use"  # groups of the help text
PASS_ON = {"allow_extra_args": True, "ignore_unknown_options": True}

app = typer.Typer(
    help="Distil a large text classifier into a small, fast one. All settings are in params.yaml.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,  # these tracebacks can print the values of variables, secrets among them
)
Delimiter = Annotated[str, typer.Option(help="Delimiter of the source: auto, tab, or one character.")]
Quoting = Annotated[str, typer.Option(help="Quoting of the source: auto, minimal, or none.")]
Escape = Annotated[str, typer.Option(help="Escape character of the source: auto, none, or a character.")]
Encoding = Annotated[str, typer.Option(help="Encoding of the source: auto, or a name such as cp1252.")]
ModelName = Annotated[str, typer.Option(help="Name of the registered model.", show_default="that of params.yaml")]
