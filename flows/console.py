"""The console script ``stillhouse``.

``stillhouse predict`` works with the packages that ``pip install stillhouse`` installs. Every other command needs the
extra ``all``. If a package is missing, the script exits with one message.
"""

import sys

OWN = ("flows", "tasks", "stillhouse")


def main() -> None:
    """Start the command that the first argument names. Exits with status 1 if it needs a package that is missing."""
    command = sys.argv[1] if len(sys.argv) > 1 else ""
    if command == "predict":
        from stillhouse.serving import predict

        sys.argv = ["stillhouse predict", *sys.argv[2:]]
        return predict.main()
    try:
        from flows import cli

        cli.main()
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] in OWN:
            raise
        shown = f"stillhouse {command}" if command and not command.startswith("-") else "stillhouse"
        sys.exit(
            f"{shown} needs the package {error.name.partition('.')[0]}, which is not installed. Install the extra "
            "\"all\": pip install 'stillhouse[all]'. Without it, `stillhouse predict MODEL [FILE]` works."
        )


if __name__ == "__main__":
    main()
