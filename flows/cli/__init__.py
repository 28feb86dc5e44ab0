"""The command line ``stillhouse``: every command with its arguments and options, a module for each group.

A function of these modules declares one command and hands its options to the module that does the work. It imports that
module when the command starts: Prefect, MLflow and torch take seconds to load, and ``--help`` needs none of them.
``python -m flows.<module>`` starts the same command, also where Stillhouse is not installed.
"""

import sys

# isort: off
# Each declares its commands; --help shows the groups in this order.
from flows.cli import distil, label, find_out, use  # noqa: F401

# isort: on
from flows.cli.app import app


def main(*words: str) -> None:
    """Run the command line.

    Args:
        words: Arguments to insert before those of the process: the command's name, if its own module was started.
    """
    app([*words, *sys.argv[1:]], prog_name="stillhouse")
