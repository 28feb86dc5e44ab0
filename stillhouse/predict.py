"""``python -m stillhouse.predict MODEL [FILE]``: a line of text in, its label and probability out.

Lines come from ``FILE`` or from standard input and are answered in order, some at a time, so that memory does
not grow with the file. Tables are scored by ``flows/score.py``.
"""

import argparse
import itertools
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import IO

from tqdm import tqdm

from stillhouse.classifier import Classifier

LINES = 4096  # answered at once


def answers(classifier: Classifier, lines: Iterable[str]) -> Iterator[tuple[str, float]]:
    """Label and probability of each line, in order; ``LINES`` of them are held at a time."""
    source = iter(lines)
    while chunk := [line.rstrip("\r\n") for line in itertools.islice(source, LINES)]:
        probabilities = classifier.predict_proba(chunk)
        for row in probabilities:
            best = int(row.argmax())
            yield str(classifier.classes_[best]), float(row[best])


def main() -> None:
    """The command; a mistake ends with its message and status 1."""
    parser = argparse.ArgumentParser(prog="python -m stillhouse.predict", description=__doc__.split("\n\n")[1])
    parser.add_argument("model", help="outputs/compress/model, or models:/<name>@champion")
    parser.add_argument("file", nargs="?", default="-", help="UTF-8 text, one a line; standard input when left out")
    parser.add_argument("--threads", type=int, help="for the network; all cores when left out")
    arguments = parser.parse_args()
    try:
        classifier = Classifier.load(arguments.model, arguments.threads)
        with _lines(arguments.file) as lines, tqdm(unit="text", disable=None) as bar:
            for label, probability in answers(classifier, lines):
                print(f"{label}\t{probability:.4f}")
                bar.update()
    except UnicodeDecodeError as error:
        sys.exit(f"\n{arguments.file} is not UTF-8 ({error.reason}, byte {error.start} of a block). Convert it first.")
    except _NoInput as error:
        sys.exit(f"\n{error}")
    except BrokenPipeError:  # `| head` has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except Exception as error:  # of the file system, onnxruntime, or MLflow: each has its own
        sys.exit(f"\n{arguments.model} cannot be used: {error}")


class _NoInput(Exception):
    """There are no lines to be read."""


def _lines(file: str) -> "IO[str] | nullcontext[IO[str]]":
    if file != "-":
        try:
            return Path(file).open(encoding="utf-8-sig", newline="\n")
        except OSError as error:
            raise _NoInput(f"{file} cannot be read: {error.strerror}.") from None
    if sys.stdin is None:
        raise _NoInput("Standard input is closed. Name a file, or pipe text in.")
    return nullcontext(open(sys.stdin.fileno(), encoding="utf-8-sig", newline="\n", closefd=False))


if __name__ == "__main__":
    main()
