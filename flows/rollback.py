"""``stillhouse rollback``: make the previous champion the champion again. A second rollback undoes the first."""

from flows.shared.environment import own_prefect_home

own_prefect_home()

from flows.shared.stopping import command
from stillhouse.params import load_params
from stillhouse.tracking.registry import PIPELINE, aliases_of, roll_back
from stillhouse.tracking.store import connect


@command
def main(model: str, device: str) -> None:
    """Exchange the aliases and print the versions.

    Args:
        model: Registered name; empty for that of params.yaml.
        device: Name of a device in the fleet; empty for the pipeline's champion.
    """
    params = load_params()
    connect(params.tracking.experiment)
    aliases = aliases_of(device) if device else PIPELINE
    champion, replaced = roll_back(model or params.model_name, aliases)
    print(
        f"{champion.name}: version {champion.number} is @{aliases.champion} again, "
        f"version {replaced.number} is @{aliases.previous}."
    )


if __name__ == "__main__":
    from flows.cli import main as start

    start("rollback")
