"""Stage ``student``: distil the teacher's stored answers into the small network."""

from tasks.stage import OUTPUTS, Context, Metrics, Stage, write_csv

STAGE = Stage("student", trains=True)


def student(context: Context) -> Metrics:
    """Write ``model/`` and ``training.csv``."""
    from stillhouse.data.vocabulary import load_vocabulary
    from stillhouse.distillation.checkpoints import clear_scratch
    from stillhouse.distillation.student import fit_student
    from stillhouse.models.inherit import starting_from
    from stillhouse.models.students.student import save_student

    params = context.params
    context.run.dataset(OUTPUTS / "prepare" / "train.arrow", "train")
    tokenizer = load_vocabulary(OUTPUTS / "control" / "model" / "tokenizer.json")
    distilled, history, kept = fit_student(
        "student",
        params,
        OUTPUTS / "prepare",
        tokenizer,
        device=context.device,
        log=context.run,
        answers=OUTPUTS / "soften" / "answers",
        start=starting_from(params.student.start, OUTPUTS / "teacher" / "model", tokenizer),
    )
    save_student(distilled, context.out / "model")
    write_csv(context.out / "training.csv", history)
    clear_scratch("student")
    return {"parameters": sum(p.numel() for p in distilled.network.parameters()), **kept}


if __name__ == "__main__":
    STAGE.command(student)
