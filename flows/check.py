"""``stillhouse check``: check ``params.yaml``, or write its JSON schema."""

import sys

from stillhouse.errors import BadInput
from stillhouse.params import load_params
from stillhouse.params.schema import write_schema


def main(schema: bool) -> None:
    """Run the command. Exits with status 1 and a message if params.yaml is not valid."""
    if schema:
        print(f"wrote {write_schema()}")
        return
    try:
        load_params()
    except BadInput as error:
        sys.exit(f"\n{error}")
    print("params.yaml is valid")


if __name__ == "__main__":
    from flows.cli import main as start

    start("check")
