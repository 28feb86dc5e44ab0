"""``params.yaml`` as one typed, validated model: the only place where a parameter is checked."""

from stillhouse.params.declared import ALWAYS, declared
from stillhouse.params.devices import Device
from stillhouse.params.format import Format
from stillhouse.params.learning import (
    Augment,
    Mutual,
    Network,
    Reversed,
    SoftLabels,
    Student,
    Teacher,
    Training,
    Varying,
    Vocabulary,
    Wide,
)
from stillhouse.params.loading import Params, check_params, load_params
from stillhouse.params.optional import optional
from stillhouse.params.running import (
    Comparison,
    Compress,
    Data,
    Evaluate,
    Flow,
    Labels,
    Register,
    Schedule,
    Study,
    Tracking,
)
from stillhouse.params.section import Section

__all__ = [
    "ALWAYS",
    "Augment",
    "Comparison",
    "Compress",
    "Data",
    "Device",
    "Evaluate",
    "Flow",
    "Format",
    "Labels",
    "Mutual",
    "Network",
    "Params",
    "Register",
    "Reversed",
    "Schedule",
    "Section",
    "SoftLabels",
    "Student",
    "Study",
    "Teacher",
    "Tracking",
    "Training",
    "Varying",
    "Vocabulary",
    "Wide",
    "check_params",
    "declared",
    "load_params",
    "optional",
]
