"""Commands about labels."""

from typing import Annotated

import typer

from flows.cli.app import LABEL, Delimiter, Encoding, Escape, Quoting, app
from stillhouse.choices import Choice


@app.command("next", rich_help_panel=LABEL)
def next_texts(
    target: Annotated[str, typer.Argument(help="CSV file to write, with an empty column label.")] = "next.csv",
    count: Annotated[int, typer.Option(min=1, help="Number of texts.")] = 50,
    choose: Annotated[
        Choice, typer.Option(help="Smallest margins, cluster centres, both, or random texts.")
    ] = "uncertain_diverse",
    force: Annotated[bool, typer.Option("--force", help="Replace an existing file.")] = False,
) -> None:
    """Write the texts whose label would help most, by the outputs of the last run."""
    from flows.next import main

    main(target, count, choose, force)


@app.command(rich_help_panel=LABEL)
def add(
    source: Annotated[str, typer.Argument(help="Table with texts and labels: CSV, TSV, JSON Lines or Parquet.")],
    text_column: Annotated[str, typer.Option(help="Column with the texts.")] = "text",
    label_column: Annotated[str, typer.Option(help="Column with the labels.")] = "label",
    new_classes: Annotated[bool, typer.Option("--new-classes", help="Accept labels that are no class yet.")] = False,
    replace: Annotated[bool, typer.Option("--replace", help="Change labels that texts have.")] = False,
    delimiter: Delimiter = "auto",
    quoting: Quoting = "auto",
    escape: Escape = "auto",
    encoding: Encoding = "auto",
) -> None:
    """Add labels of people to the data. The source stays as it is; the next run uses the labels."""
    from flows.add import main

    main(
        source=source,
        text_column=text_column,
        label_column=label_column,
        new_classes=new_classes,
        replace=replace,
        delimiter=delimiter,
        quoting=quoting,
        escape=escape,
        encoding=encoding,
    )
