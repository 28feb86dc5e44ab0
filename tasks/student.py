"""Stage ``student``: distil the soft labels into the small network."""

from stillhouse.chain import OUTPUTS
from stillhouse.data.vocabulary import load_vocabulary, truncate_vocabulary
from stillhouse.distillation.scratch import mark_finished
from stillhouse.distillation.student import fit_student
from stillhouse.models.inherit import starting_from
from stillhouse.models.students.student import Student, save_student
from stillhouse.params import Params
from tasks.shared.files import write_csv
from tasks.shared.stage import Context, Metrics, command


def student(context: Context) -> Metrics:
    """Write ``model/`` and ``training.csv``."""
    distilled, numbers = distil(context, context.params)
    save_student(distilled, context.out / "model")
    mark_finished(context.stage.address)
    return {"parameters": sum(p.numel() for p in distilled.network.parameters()), **numbers}


def distil(context: Context, params: Params) -> tuple[Student, Metrics]:
    """The student that ``params`` describes, and the selected epoch's numbers; ``training.csv`` has every epoch's."""
    context.run.dataset(OUTPUTS / "prepare" / "train.arrow", "train")
    learnt = load_vocabulary(OUTPUTS / "control" / "model" / "tokenizer.json")
    tokenizer = truncate_vocabulary(learnt, params.student.vocabulary.size)
    fitted = fit_student(
        context.stage.address,
        params,
        OUTPUTS / "prepare",
        tokenizer,
        device=context.device,
        log=context.run,
        answers=OUTPUTS / "soft_labels" / "answers",
        control=OUTPUTS / "control" / "model",
        start=starting_from(params.student.start, OUTPUTS / "teacher" / "model", tokenizer),
    )
    write_csv(context.out / "training.csv", fitted.history)
    return fitted.student, dict(fitted.selected)


if __name__ == "__main__":
    command("student", student)
