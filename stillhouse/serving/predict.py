"""``stillhouse predict MODEL [FILE]``: the label and the probability of each line of text.

It reads lines from ``FILE`` or from standard input, a block at a time, and writes one line for each in the same order.
So the memory that it uses does not grow with the file. ``stillhouse score`` labels tables.
"""

import argparse
import itertools
import os
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import IO

from stillhouse.serving.answers import decide
from stillhouse.serving.classifier import Classifier

LINES = 4096  # lines of a block


def label_lines(classifier: Classifier, lines: Iterable[str]) -> Iterator[list[tuple[str, float]]]:
    """Label and probability of each line, in order, in blocks of at most ``LINES``."""
    source = iter(lines)
    while block := [line.rstrip("\r\n") for line in itertools.islice(source, LINES)]:
        labels, probabilities = decide(classifier.predict_proba(block), classifier.classes_)
        yield [(str(label), float(probability)) for label, probability in zip(labels, probabilities, strict=True)]


def main() -> None:
    """Run the command with the arguments in ``sys.argv``. A user's mistake ends it with a message and status 1."""
    parser = argparse.ArgumentParser(
        prog="stillhouse predict", description="Write the label and the probability of each line of text."
    )
    parser.add_argument("model", metavar="MODEL", help="outputs/compress/model, or models:/<name>@champion")
    parser.add_argument(
        "file", metavar="FILE", nargs="?", default="-", help="UTF-8 text, one line for each; default: standard input"
    )
    parser.add_argument("--threads", type=int, help="batches that run at the same time; default: one for each core")
    arguments = parser.parse_args()
    try:
        classifier = Classifier.load(arguments.model, arguments.threads)
        with _lines(arguments.file) as lines:
            for block in _with_progress(label_lines(classifier, lines)):
                sys.stdout.write("".join(f"{label}\t{probability:.4f}\n" for label, probability in block))
        sys.stdout.flush()
    except UnicodeDecodeError as error:
        sys.exit(f"\n{arguments.file} is not UTF-8 ({error.reason}, byte {error.start} of a block). Convert it first.")
    except _NoInput as error:
        sys.exit(f"\n{error}")
    except BrokenPipeError:  # the reader of the output, such as `head`, has ended
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except Exception as error:  # the file system, onnxruntime and MLflow raise errors of different types
        sys.exit(f"\n{arguments.model} cannot be used: {error}")


class _NoInput(Exception):
    """The lines cannot be read."""


def _lines(file: str) -> "IO[str] | nullcontext[IO[str]]":
    if file != "-":
        try:
            return Path(file).open(encoding="utf-8-sig", newline="\n")
        except OSError as error:
            raise _NoInput(f"{file} cannot be read: {error.strerror}.") from None
    if sys.stdin is None:
        raise _NoInput("Standard input is closed. Name a file, or pipe text in.")
    return nullcontext(open(sys.stdin.fileno(), encoding="utf-8-sig", newline="\n", closefd=False))


def _with_progress(blocks: Iterator[list[tuple[str, float]]]) -> Iterator[list[tuple[str, float]]]:
    """Yield the blocks. If standard error is a terminal, show there how many texts are done."""
    if sys.stderr is None or not sys.stderr.isatty():
        yield from blocks
        return
    start, done = time.perf_counter(), 0
    for block in blocks:
        yield block
        done += len(block)
        speed = done / (time.perf_counter() - start)
        print(f"\r{done:,} texts, {speed:,.0f} texts/s", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)


if __name__ == "__main__":
    main()
