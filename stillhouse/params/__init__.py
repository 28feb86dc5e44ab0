"""``params.yaml`` as one typed, validated model: the only place where a parameter is checked."""

from stillhouse.params.learning import (
    Augment,
    Mutual,
    Network,
    Reversed,
    Soften,
    Student,
    Teacher,
    Training,
    Varying,
    Vocabulary,
)
from stillhouse.params.loading import Params, check_params, load_params
from stillhouse.params.running import (
    STAGES,
    Comparison,
    Compress,
    Data,
    Evaluate,
    Flow,
    Register,
    Schedule,
    StageName,
    Study,
    Tracking,
)
from stillhouse.params.section import Section

__all__ = [
    "STAGES",
    "Augment",
    "Comparison",
    "Compress",
    "Data",
    "Evaluate",
    "Flow",
    "Mutual",
    "Network",
    "Params",
    "Register",
    "Reversed",
    "Schedule",
    "Section",
    "Soften",
    "StageName",
    "Student",
    "Study",
    "Teacher",
    "Tracking",
    "Training",
    "Varying",
    "Vocabulary",
    "check_params",
    "load_params",
]
