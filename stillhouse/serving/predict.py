"""``stillhouse predict MODEL [FILE]``: the label of each line of text, its probability, and whether it is deferred.

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

from stillhouse.serving.answers import Answers
from stillhouse.serving.classifier import Classifier

LINES = 4096  # lines of a block


def label_lines(classifier: Classifier, lines: Iterable[str], min_confidence: float | None = None) -> Iterator[Answers]:
    """Yield the answers to the lines, in order, in blocks of at most ``LINES``."""
    source = iter(lines)
    while block := [line.rstrip("\r\n") for line in itertools.islice(source, LINES)]:
        yield classifier.answer(block, min_confidence)


def main() -> None:
    """Run the command with the arguments in ``sys.argv``. A user's mistake ends it with a message and status 1."""
    parser = argparse.ArgumentParser(
        prog="stillhouse predict",
        description="Write the label of each line of text, its probability, and 1 if it is deferred, else 0.",
    )
    parser.add_argument("model", metavar="MODEL", help="outputs/compress/model, or models:/<name>@champion")
    parser.add_argument(
        "file", metavar="FILE", nargs="?", default="-", help="UTF-8 text, one line for each; default: standard input"
    )
    parser.add_argument("--threads", type=int, help="batches that run at the same time; default: one for each core")
    parser.add_argument(
        "--min-confidence",
        type=float,
        metavar="P",
        help="defer texts with a lower probability; default: the threshold of the model, if it has one",
    )
    arguments = parser.parse_args()
    if arguments.min_confidence is not None and not 0 <= arguments.min_confidence <= 1:
        parser.error(f"--min-confidence is {arguments.min_confidence:g}; it must be from 0 to 1")
    try:
        classifier = Classifier.load(arguments.model, arguments.threads)
        with _lines(arguments.file) as lines:
            for block in _with_progress(label_lines(classifier, lines, arguments.min_confidence)):
                rows = zip(block.labels, block.probabilities, block.deferred, strict=True)
                sys.stdout.write("".join(f"{label}\t{p:.4f}\t{deferred:d}\n" for label, p, deferred in rows))
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


def _with_progress(blocks: Iterator[Answers]) -> Iterator[Answers]:
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
