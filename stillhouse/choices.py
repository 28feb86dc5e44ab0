"""Choices of the command line, which imports this module, so it imports little.

They are the methods that choose texts to label, and what a model is exported to.
"""

from typing import Literal

Choice = Literal["random", "uncertain", "diverse", "uncertain_diverse"]
Target = Literal["docker", "hub"]
