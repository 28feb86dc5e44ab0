"""``python -m flows.shared.databases``: create the databases of Prefect and MLflow in advance, which takes 15 s.

``make install`` runs it. A run creates missing databases itself.
"""

from concurrent.futures import ThreadPoolExecutor

from flows.shared.environment import own_prefect_home

own_prefect_home()  # before the import of Prefect, which reads its settings at import

from flows.shared.server import prefect_server
from stillhouse.params import load_params
from stillhouse.pipeline.scm import update_no_scm
from stillhouse.tracking.store import connect


def main() -> None:
    """Create the databases."""
    params = load_params()
    update_no_scm(print)  # so that a plain `dvc repro` works
    with ThreadPoolExecutor() as pool:
        mlflow = pool.submit(connect, params.tracking.experiment)  # while Prefect's server starts
        with prefect_server():
            mlflow.result()


if __name__ == "__main__":
    main()
