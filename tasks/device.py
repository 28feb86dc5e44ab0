"""Stage ``device``: the student of one of ``devices``, distilled and compressed as the device asks for."""

import sys
import tempfile
from pathlib import Path

from tasks.stage import OUTPUTS, Context, Metrics, Stage, write_csv, write_json

STAGE = Stage("device", trains=True)


def device(context: Context) -> Metrics:
    """Write ``model/`` (what is served), ``training.csv``, and ``speed.json``, which DVC does not keep."""
    from stillhouse.compression.steps import compress_student
    from stillhouse.data.splits import read_split
    from stillhouse.data.vocabulary import load_vocabulary, truncate_vocabulary
    from stillhouse.distillation.checkpoints import clear_scratch
    from stillhouse.distillation.student import fit_student
    from stillhouse.models.inherit import starting_from
    from stillhouse.provenance import folder_md5

    params, data = context.params.for_device(context.instance), OUTPUTS / "prepare"
    context.run.dataset(data / "train.arrow", "train")
    learnt = load_vocabulary(OUTPUTS / "control" / "model" / "tokenizer.json")
    tokenizer = truncate_vocabulary(learnt, params.student.vocabulary.size)
    student, history, kept = fit_student(
        STAGE.of(context.instance).address,
        params,
        data,
        tokenizer,
        device=context.device,
        log=context.run,
        answers=OUTPUTS / "soften" / "answers",
        start=starting_from(params.student.start, OUTPUTS / "teacher" / "model", tokenizer),
    )
    train, validation = read_split(data / "train.arrow"), read_split(data / "validation.arrow")
    with tempfile.TemporaryDirectory() as scratch:
        ladder = compress_student(student, params.compress, train, validation, Path(scratch), context.out / "model")
    timed = {"model_md5": folder_md5(context.out / "model"), "docs_per_s": ladder.docs_per_s}
    write_json(context.out / "speed.json", timed)
    write_csv(context.out / "training.csv", history)
    clear_scratch(STAGE.of(context.instance).address)
    return {**kept, "kept": ladder.last, "steps": ladder.numbers}


if __name__ == "__main__":
    STAGE.of(sys.argv[1]).command(device)
