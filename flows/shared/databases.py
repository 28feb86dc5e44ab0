"""``python -m flows.shared.databases``: make Prefect's and MLflow's databases, a quarter of a minute, in advance.

``make install`` runs it. A run makes what is missing.
"""

from flows.shared.environment import own_prefect_home

own_prefect_home()  # before Prefect is imported: it reads its settings then

from flows.shared.server import prefect_server
from stillhouse.params import load_params
from stillhouse.pipeline.scm import settle_scm
from stillhouse.tracking.store import connect


def main() -> None:
    """Make them."""
    params = load_params()
    settle_scm(print)  # so that a bare `dvc repro` works, too
    with prefect_server():
        connect(params.tracking.experiment)


if __name__ == "__main__":
    main()
