"""The section ``tracking``."""

from stillhouse.params.section import Name, Section


class Tracking(Section):
    """MLflow."""

    experiment: Name
