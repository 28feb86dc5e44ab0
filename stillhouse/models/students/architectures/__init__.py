"""The networks of the students. Each file here is an architecture; ``student.network.architecture`` names it.

A file defines one subclass of ``TextNetwork`` and marks it with ``@register``. A network that ``attends`` must also be
in ``ATTENTION_STUDENTS`` (``stillhouse/params/student.py``).
"""

from collections.abc import Callable

from stillhouse.models.students.network import TextNetwork
from stillhouse.params import Network
from stillhouse.registry import Registry

# Arguments: number of word pieces, number of classes, settings.
Architecture = Callable[[int, int, Network], TextNetwork]


def _is_network(found: Architecture) -> bool:
    return isinstance(found, type) and issubclass(found, TextNetwork)


ARCHITECTURES: Registry[Architecture] = Registry("stillhouse.models.students.architectures", _is_network)
