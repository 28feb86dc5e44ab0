"""Commands that distil."""

from typing import Annotated

import typer

from flows.cli.app import DISTIL, Delimiter, Encoding, Escape, Quoting, app


@app.command(rich_help_panel=DISTIL)
def init(
    source: Annotated[str, typer.Argument(help="CSV, TSV, JSON Lines, Parquet, a folder of them, or a hub id.")],
    text: Annotated[
        str | None, typer.Option("--text", "--text-column", help="Column with the texts.", show_default="found")
    ] = None,
    label: Annotated[
        str | None,
        typer.Option("--label", "--label-column", help="Column with the labels; '' for none.", show_default="found"),
    ] = None,
    classes: Annotated[
        list[str] | None,
        typer.Option("--class", help="NAME or 'NAME: DESCRIPTION', for each of the classes, without labels."),
    ] = None,
    delimiter: Delimiter = "auto",
    quoting: Quoting = "auto",
    escape: Escape = "auto",
    encoding: Encoding = "auto",
    hub_config: Annotated[str | None, typer.Option(help="Configuration of the hub dataset.")] = None,
    hub_revision: Annotated[str | None, typer.Option(help="Commit or tag of the hub dataset.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Leave params.yaml as it is.")] = False,
) -> None:
    """Find texts and labels in a table, and write them into params.yaml."""
    from flows.init import main

    main(
        source=source,
        text=text,
        label=label,
        classes=classes or [],
        delimiter=delimiter,
        quoting=quoting,
        escape=escape,
        encoding=encoding,
        hub_config=hub_config,
        hub_revision=hub_revision,
        dry_run=dry_run,
    )


@app.command(rich_help_panel=DISTIL)
def run() -> None:
    """Distil the teacher of params.yaml into a registered student."""
    from flows.distillation import main

    main()


@app.command(rich_help_panel=DISTIL)
def serve_schedule() -> None:
    """Distil on the cron schedule of params.yaml until stopped. Needs a Prefect server."""
    from flows.schedule import main

    main()
