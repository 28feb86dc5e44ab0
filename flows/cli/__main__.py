"""``python -m flows.cli``: the command line where Stillhouse is not installed."""

from flows.cli import main

main()
