"""Check before any training that the name of the registered model does not belong to another project."""

import json
from contextlib import suppress

from stillhouse.errors import Unavailable
from stillhouse.params import Params
from stillhouse.params.naming import source_of
from stillhouse.pipeline.artefacts import path
from stillhouse.tracking.ownership import check_owner
from stillhouse.tracking.registry import PIPELINE
from stillhouse.tracking.store import raising_unavailable


def check_name(params: Params) -> None:
    """Compare the classes of the prepared data with those of the champion. Without prepared data it does nothing.

    If the registry does not answer, the stage ``register`` checks again.

    Raises:
        BadInput: the name belongs to another project's model.
    """
    try:
        card = json.loads(path("prepare/card.json").read_text(encoding="utf-8"))
        classes = [name for name in card["splits"]["train"]["labels"] if name not in card["labels_not_in_train"]]
    except (OSError, ValueError, KeyError, TypeError):
        return
    with suppress(Unavailable), raising_unavailable():
        check_owner(params.model_name, PIPELINE, classes, source_of(params.data))
