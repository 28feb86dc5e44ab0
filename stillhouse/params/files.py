"""Reading YAML as DVC reads it: version 1.2, and no key given twice."""

from copy import deepcopy
from functools import lru_cache
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from stillhouse.errors import BadInput


def read_yaml(path: Path) -> Any:
    """The content of the file in Python's built-in types.

    Raises:
        BadInput: the file is missing or is not valid YAML; the message names the line.
    """
    try:
        return deepcopy(_parsed(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise BadInput(f"{path} is missing. Run from the project's folder, or restore the file.") from None
    except MarkedYAMLError as error:
        where = f" in line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise BadInput(f"{path} is not valid YAML{where}: {error.problem or error.context}") from None
    except (YAMLError, ValueError, OverflowError) as error:  # an impossible date, a number of 5,000 digits, not UTF-8
        raise BadInput(f"{path} is not valid YAML: {str(error)[:300]}") from None
    except RecursionError:
        raise BadInput(f"{path} is not valid YAML: it is nested too deeply") from None


def round_trip() -> YAML:
    """A reader and writer of YAML that preserves comments, order and quotes."""
    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = 4096
    # The default representation of a null is the empty string.
    yaml.representer.add_representer(type(None), lambda to, _: to.represent_scalar("tag:yaml.org,2002:null", "null"))
    return yaml


@lru_cache(maxsize=8)  # a stage reads the same files several times, each for a tenth of a second
def _parsed(text: str) -> Any:
    return YAML(typ="safe").load(text)  # the parser in C, five times as fast, where it is installed
