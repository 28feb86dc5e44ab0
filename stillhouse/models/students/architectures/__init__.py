"""The students' networks: a file here is an architecture, named in ``student.network.architecture``.

It defines one subclass of ``TextNetwork`` and marks it with ``@register``. One that ``attends`` must also be in
``ATTENTION_STUDENTS`` (``stillhouse/params/student.py``).
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
