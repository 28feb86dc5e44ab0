"""The command line ``stillhouse``: every command with its arguments and options.

A function here declares one command and hands its options to the module that does the work. It imports that module
when the command starts: Prefect, MLflow and torch take seconds to load, and ``--help`` needs none of them.
``python -m flows.<module>`` starts the same command, also where Stillhouse is not installed.
"""

import sys
from typing import Annotated

import typer

from stillhouse.choices import Choice

DISTIL, LABEL, FIND_OUT, USE = "Distil", "Label", "Find out", "Use"  # groups of the help text, in its order
PASS_ON = {"allow_extra_args": True, "ignore_unknown_options": True}

app = typer.Typer(
    help="Distil a large text classifier into a small, fast one. All settings are in params.yaml.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,  # these tracebacks can print the values of variables, secrets among them
)
LEAST = typer.Option(help="Defer texts with a lower probability.", show_default="the threshold of the model, if any")
WHO = "Who answers deferred texts: teacher, label (the language model), or a CSV file for people."
Delimiter = Annotated[str, typer.Option(help="Delimiter of the source: auto, tab, or one character.")]
Quoting = Annotated[str, typer.Option(help="Quoting of the source: auto, minimal, or none.")]
Escape = Annotated[str, typer.Option(help="Escape character of the source: auto, none, or a character.")]
Encoding = Annotated[str, typer.Option(help="Encoding of the source: auto, or a name such as cp1252.")]
DeferTo = Annotated[str, typer.Option(help=WHO, show_default="the student")]
ModelName = Annotated[str, typer.Option(help="Name of the registered model.", show_default="that of params.yaml")]


def main(*words: str) -> None:
    """Run the command line.

    Args:
        words: Arguments to insert before those of the process: the command's name, if its own module was started.
    """
    app([*words, *sys.argv[1:]], prog_name="stillhouse")


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


@app.command(rich_help_panel=FIND_OUT)
def labels() -> None:
    """Measure the accuracy with 8, 16, ... all labels per class."""
    from flows.labels import main

    main()


@app.command(rich_help_panel=FIND_OUT)
def estimate() -> None:
    """Estimate tokens, price and time of the labels of a language model. Sends no call."""
    from flows.estimate import main

    main()


@app.command(rich_help_panel=FIND_OUT)
def compare() -> None:
    """Measure the effect of each direction of distillation over several seeds."""
    from flows.comparison import main

    main()


@app.command(rich_help_panel=FIND_OUT)
def study(
    best: Annotated[bool, typer.Option("--best", help="Run no trial; print the best one so far.")] = False,
    apply: Annotated[bool, typer.Option("--apply", help="Run no trial; write the best one to params.yaml.")] = False,
) -> None:
    """Search for a better student. Continues a study that was stopped."""
    from flows.study import main

    main(best, apply)


@app.command(rich_help_panel=FIND_OUT)
def check(
    schema: Annotated[bool, typer.Option("--schema", help="Write the JSON schema of params.yaml instead.")] = False,
) -> None:
    """Check params.yaml."""
    from flows.check import main

    main(schema)


@app.command(rich_help_panel=FIND_OUT)
def doctor() -> None:
    """Check what a run needs on this machine. Changes no file of the project."""
    from flows.doctor import main

    main()


@app.command(rich_help_panel=USE)
def score(
    source: Annotated[str, typer.Argument(help="Table to label: CSV, TSV, JSON Lines, Parquet, or a folder of parts.")],
    target: Annotated[str, typer.Argument(help="File to write: the same columns, label, probability and deferred.")],
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


if __name__ == "__main__":
    main()
