"""The names of the methods that choose texts to label. The command line imports this module, so it imports little."""

from typing import Literal

Choice = Literal["random", "uncertain", "diverse", "uncertain_diverse"]
