"""Commands that distil."""

from flows.cli.app import DISTIL, app


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
