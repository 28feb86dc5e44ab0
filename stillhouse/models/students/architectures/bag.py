"""The ``bag`` student: the words alone, without an encoder."""

from torch import Tensor

from stillhouse.models.students.network import TextNetwork
from stillhouse.params import Network
from stillhouse.registry import register


@register
class Bag(TextNetwork):
    """The mean word vector and the wide branch (whichever the settings have), and a linear layer.

    After A. Joulin et al., "Bag of Tricks for Efficient Text Classification", EACL 2017, arXiv:1607.01759. The word
    vectors may start as those of the teacher. Both parts read as many pieces as the longer one of them.
    """

    encodes = False

    def __init__(self, vocabulary: int, classes: int, settings: Network) -> None:
        super().__init__(vocabulary, classes, settings, states=0)
        self.deep_length = settings.reads

    def encode(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Return no states: (batch, length, 0)."""
        return x[:, :, :0], mask
