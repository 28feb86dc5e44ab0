"""``python -m flows.rollback``: the champion before this one is champion again; once more, and it is undone."""

import argparse

from flows.shared.environment import own_prefect_home

own_prefect_home()

from flows.shared.stopping import command
from stillhouse.params import load_params
from stillhouse.tracking.registry import PIPELINE, aliases_of, roll_back
from stillhouse.tracking.store import connect


@command
def main() -> None:
    """Change the aliases and say so."""
    parser = argparse.ArgumentParser(prog="python -m flows.rollback", description=__doc__.split(": ", 1)[1])
    parser.add_argument("--model", default="", help="registered name; that of params.yaml when left out")
    parser.add_argument("--device", default="", help="of the fleet: its champion instead of the pipeline's")
    options = parser.parse_args()
    params = load_params()
    connect(params.tracking.experiment)
    aliases = aliases_of(options.device) if options.device else PIPELINE
    now, gone = roll_back(options.model or params.model_name, aliases)
    print(f"{now.name}: version {now.number} is @{aliases.champion} again, version {gone.number} @{aliases.previous}.")


if __name__ == "__main__":
    main()
