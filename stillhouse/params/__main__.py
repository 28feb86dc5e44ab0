"""``python -m stillhouse.params``: check ``params.yaml``; with ``--schema`` write its JSON schema, for editors."""

import argparse
import json
import sys
from pathlib import Path

from stillhouse.errors import BadInput
from stillhouse.params import Params, load_params

SCHEMA = Path("params.schema.json")


def schema() -> str:
    """The JSON schema (draft 2020-12) of ``params.yaml``, as the committed file has it."""
    content = {"$schema": "https://json-schema.org/draft/2020-12/schema", **Params.model_json_schema(by_alias=True)}
    return json.dumps(content, indent=2) + "\n"


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m stillhouse.params", description=__doc__)
    parser.add_argument("--schema", action="store_true", help=f"write {SCHEMA}")
    if parser.parse_args().schema:
        SCHEMA.write_text(schema(), encoding="utf-8")
        print(f"wrote {SCHEMA}")
        return
    try:
        load_params()
    except BadInput as error:
        sys.exit(f"\n{error}")
    print("params.yaml is valid")


if __name__ == "__main__":
    main()
