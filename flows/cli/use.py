"""Commands that use a registered model."""

import sys
from typing import Annotated

import typer

from flows.cli.app import PASS_ON, USE, Delimiter, Encoding, Escape, ModelName, Quoting, app
from stillhouse.choices import Target

LEAST = typer.Option(help="Defer texts with a lower probability.", show_default="the threshold of the model, if any")
WHO = "Who answers deferred texts: teacher, label (the language model), or a CSV file for people."
DeferTo = Annotated[str, typer.Option(help=WHO, show_default="the student")]


@app.command(rich_help_panel=USE)
def score(
    source: Annotated[str, typer.Argument(help="Table to label: CSV, TSV, JSON Lines, Parquet, or a folder.")],
    target: Annotated[
        str, typer.Argument(help="File or folder to write: the same columns, label, probability, deferred.")
    ],
    text_column: Annotated[str, typer.Option(help="Column with the texts.")] = "text",
    model: ModelName = "",
    alias: Annotated[str, typer.Option(help="Alias of the model's version.")] = "champion",
    chunk: Annotated[int, typer.Option(help="Rows in memory at a time.")] = 50_000,
    min_confidence: Annotated[float | None, LEAST] = None,
    defer_to: DeferTo = "",
    audit: Annotated[float, typer.Option(help="Share of the texts to write to TARGET.audit.csv.")] = 0.0,
    audit_by: Annotated[str, typer.Option(help="Who labels these texts: people or teacher.")] = "people",
    delimiter: Delimiter = "auto",
    quoting: Quoting = "auto",
    escape: Escape = "auto",
    encoding: Encoding = "auto",
    runner: Annotated[str, typer.Option(help="Of folders: local or ray.", show_default="scale.runner")] = "",
    address: Annotated[str, typer.Option(help="Of a Ray cluster.", show_default="scale.address")] = "",
) -> None:
    """Label a table with a registered model. Continues where a stopped run ended."""
    from flows.score import main

    main(
        source=source,
        target=target,
        text_column=text_column,
        model=model,
        alias=alias,
        chunk=chunk,
        min_confidence=min_confidence,
        defer_to=defer_to,
        audit=audit,
        audit_by=audit_by,
        delimiter=delimiter,
        quoting=quoting,
        escape=escape,
        encoding=encoding,
        runner=runner,
        address=address,
    )


@app.command(rich_help_panel=USE)
def audit(
    answers: Annotated[str, typer.Argument(help="File of `stillhouse score --audit` with the column label filled in.")],
    notify: Annotated[bool, typer.Option("--notify", help="Send the result to flow.notify.")] = False,
) -> None:
    """Check whether the promise of a registered model still holds. Status 3: it is shown to be broken."""
    from flows.audit import main

    main(answers, notify)


@app.command(rich_help_panel=USE, context_settings=PASS_ON, add_help_option=False)
def predict(context: typer.Context) -> None:
    """Label lines of text with a student: stillhouse predict MODEL [FILE]."""
    from stillhouse.serving.predict import main  # declares its own options, since it works where Typer is not installed

    sys.argv = ["stillhouse predict", *context.args]
    main()


@app.command("try", rich_help_panel=USE)
def try_(
    model: Annotated[
        str,
        typer.Argument(
            help="Folder of a model, or a version such as models:/name@champion.", show_default="the project's model"
        ),
    ] = "",
    port: Annotated[int, typer.Option(help="Port of the page; 0 takes a free one.", min=0, max=65_535)] = 8484,
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Open no browser.")] = False,
) -> None:
    """Open a page in the browser to try a model: texts, tables, and test texts that it answers wrongly."""
    from flows.try_page import main

    main(model, port, not no_browser)


@app.command(rich_help_panel=USE)
def export(
    model: Annotated[str, typer.Argument(help="Folder of a model, or a version such as models:/name@champion.")],
    target: Annotated[str, typer.Argument(help="Folder to write, or OWNER/NAME on the Hugging Face Hub.")],
    to: Annotated[Target, typer.Option(help="For a container, or on the hub.")] = "docker",
    force: Annotated[bool, typer.Option("--force", help="Replace an existing folder (docker).")] = False,
    public: Annotated[bool, typer.Option("--public", help="Everyone may read it (hub).")] = False,
    push: Annotated[bool, typer.Option("--push", help="Push; without it the files are listed (hub).")] = False,
) -> None:
    """Export a model with an HTTP server for a container, or with its card to the Hugging Face Hub."""
    from flows.export import main

    main(model, target, to, force, public, push)


@app.command(rich_help_panel=USE)
def reproduce(
    version: Annotated[int, typer.Argument(help="Version of the registered model.")],
    model: ModelName = "",
) -> None:
    """Train a registered version again and compare its digests."""
    from flows.reproduce import main

    main(version, model)


@app.command(rich_help_panel=USE)
def gc(
    days: Annotated[float, typer.Option(help="Age in days of the runs, versions and copies to remove.")] = 30.0,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Remove nothing; print what is old.")] = False,
) -> None:
    """Remove old files of runs that are no longer needed."""
    from flows.gc import main

    main(days, dry_run)


@app.command(rich_help_panel=USE)
def rollback(
    model: ModelName = "",
    device: Annotated[
        str, typer.Option(help="Device of the fleet, to change its champion.", show_default="the pipeline's champion")
    ] = "",
) -> None:
    """Make the previous champion the champion again."""
    from flows.rollback import main

    main(model, device)
