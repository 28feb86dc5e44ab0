"""``stillhouse <command>``: one name for all that a user starts; each is ``python -m`` of its own module, too."""

import importlib
import sys

import typer

RUN, LOOK, USE = "Distil", "Find out", "Use"
# Command -> its module, where the help lists it, and what it says.
COMMANDS = {
    "run": ("flows.distillation", RUN, "Distil the teacher of params.yaml into a registered student."),
    "serve-schedule": ("flows.schedule", RUN, "Do so on the cron of params.yaml, until stopped."),
    "labels": ("flows.labels", LOOK, "How many labels are enough: accuracy at 8, 16, ... all labels a class."),
    "compare": ("flows.comparison", LOOK, "What each direction of distillation is worth here, over several seeds."),
    "study": ("flows.study", LOOK, "Search for a better student; --best shows, --apply writes the best."),
    "check": ("stillhouse.params.__main__", LOOK, "Check params.yaml; --schema writes its JSON schema."),
    "doctor": ("flows.doctor", LOOK, "Say what a run needs here, and whether it is there."),
    "score": ("flows.score", USE, "Label a table with the champion: stillhouse score IN OUT."),
    "predict": (
        "stillhouse.serving.predict",
        USE,
        "Label lines of text: stillhouse predict MODEL [FILE].",
    ),
    "reproduce": ("flows.reproduce", USE, "Make a registered version again and compare digests."),
    "gc": ("flows.gc", USE, "Remove what old runs left here and nobody needs any more."),
    "rollback": ("flows.rollback", USE, "Make the champion before this one champion again."),
}
OWN_OPTIONS = (
    "study",
    "check",
    "score",
    "predict",
    "reproduce",
    "rollback",
    "gc",
)  # of their modules, --help among them
app = typer.Typer(
    help="Distil a large text classifier into a small, fast one. Everything is set in params.yaml.",
    no_args_is_help=True,
    add_completion=False,
)


def _add(name: str, module: str, panel: str, told: str) -> None:
    own = name in OWN_OPTIONS
    passed_on = {"allow_extra_args": own, "ignore_unknown_options": own}

    @app.command(name, help=told, rich_help_panel=panel, context_settings=passed_on, add_help_option=not own)
    def start(context: typer.Context) -> None:
        sys.argv = [f"stillhouse {name}", *context.args]
        importlib.import_module(module).main()


for _name, (_module, _panel, _told) in COMMANDS.items():
    _add(_name, _module, _panel, _told)


def main() -> None:
    """The console script."""
    app()


if __name__ == "__main__":
    main()
