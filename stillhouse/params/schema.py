"""The JSON schema of ``params.yaml``, for editors."""

import json
from pathlib import Path

from stillhouse.params.loading import Params

SCHEMA = Path("params.schema.json")


def schema() -> str:
    """The JSON schema (draft 2020-12) of ``params.yaml``, as the text of the committed file."""
    content = {"$schema": "https://json-schema.org/draft/2020-12/schema", **Params.model_json_schema(by_alias=True)}
    return json.dumps(content, indent=2) + "\n"


def write_schema() -> Path:
    """Write the schema into the current folder.

    Returns:
        Its path.
    """
    SCHEMA.write_text(schema(), encoding="utf-8")
    return SCHEMA
