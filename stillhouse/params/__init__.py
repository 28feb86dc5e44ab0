"""``params.yaml`` as one typed, validated model. Parameters are checked only here.

There is one module for each section. The model has no defaults: ``params.yaml`` has them, and must have every key.
"""

from stillhouse.params.comparison import Comparison
from stillhouse.params.compress import Compress
from stillhouse.params.costs import Costs
from stillhouse.params.data import Data
from stillhouse.params.declared import ALWAYS, declared
from stillhouse.params.devices import Device
from stillhouse.params.evaluate import Evaluate
from stillhouse.params.flow import Flow
from stillhouse.params.format import Format
from stillhouse.params.label import Label, Price
from stillhouse.params.labels import Labels
from stillhouse.params.loading import Params, check_params, load_params
from stillhouse.params.optional import optional
from stillhouse.params.register import Register
from stillhouse.params.scale import Scale
from stillhouse.params.schedule import Schedule
from stillhouse.params.section import Section
from stillhouse.params.soft_labels import Augment, SoftLabels
from stillhouse.params.student import Network, Student, Training, Varying, Vocabulary, Wide
from stillhouse.params.study import Study
from stillhouse.params.teacher import Mutual, OneTeacher, Reversed, Teacher
from stillhouse.params.tracking import Tracking

__all__ = [
    "ALWAYS",
    "Augment",
    "Comparison",
    "Compress",
    "Costs",
    "Data",
    "Device",
    "Evaluate",
    "Flow",
    "Format",
    "Label",
    "Labels",
    "Mutual",
    "Network",
    "OneTeacher",
    "Params",
    "Price",
    "Register",
    "Reversed",
    "Scale",
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
