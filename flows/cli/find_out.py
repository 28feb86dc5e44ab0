"""Commands that find something out."""

from typing import Annotated

import typer

from flows.cli.app import FIND_OUT, app


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
