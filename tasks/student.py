"""Stage ``student``: distil the teacher's stored answers into the small network."""

from typing import TYPE_CHECKING

from tasks.stage import OUTPUTS, Context, Metrics, Stage, write_csv

if TYPE_CHECKING:
    from stillhouse.models.students.student import Student
    from stillhouse.params import Params

STAGE = Stage("student", trains=True)


def student(context: Context) -> Metrics:
    """Write ``model/`` and ``training.csv``."""
    from stillhouse.distillation.checkpoints import clear_scratch
    from stillhouse.models.students.student import save_student

    distilled, numbers = distil(context, STAGE, context.params)
    save_student(distilled, context.out / "model")
    clear_scratch(STAGE.address)
    return {"parameters": sum(p.numel() for p in distilled.network.parameters()), **numbers}


def distil(context: Context, stage: Stage, params: "Params") -> tuple["Student", Metrics]:
    """The student that ``params`` describes, and its kept epoch's numbers; every epoch's go into ``training.csv``."""
    from stillhouse.data.vocabulary import load_vocabulary, truncate_vocabulary
    from stillhouse.distillation.student import fit_student
    from stillhouse.models.inherit import starting_from

    context.run.dataset(OUTPUTS / "prepare" / "train.arrow", "train")
    learnt = load_vocabulary(OUTPUTS / "control" / "model" / "tokenizer.json")
    tokenizer = truncate_vocabulary(learnt, params.student.vocabulary.size)
    distilled, history, kept = fit_student(
        stage.address,
        params,
        OUTPUTS / "prepare",
        tokenizer,
        device=context.device,
        log=context.run,
        answers=OUTPUTS / "soften" / "answers",
        control=OUTPUTS / "control" / "model",
        start=starting_from(params.student.start, OUTPUTS / "teacher" / "model", tokenizer),
    )
    write_csv(context.out / "training.csv", history)
    return distilled, dict(kept)


if __name__ == "__main__":
    STAGE.command(student)
