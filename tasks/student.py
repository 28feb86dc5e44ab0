"""Stage ``student``: train the small network on the soft labels."""

from stillhouse.data.vocabulary import load_vocabulary
from stillhouse.distillation.scratch import mark_finished
from stillhouse.distillation.student import TrainingData, fit_student
from stillhouse.files import write_csv
from stillhouse.models.inherit import student_start
from stillhouse.models.students.student import Student, save_student
from stillhouse.params import Params
from stillhouse.pipeline.context import Context
from stillhouse.pipeline.stage import Metrics, command


def student(context: Context) -> Metrics:
    """Write ``model/`` and ``training.csv``."""
    distilled, numbers = distil(context, context.params)
    save_student(distilled, context.out / "model")
    mark_finished(context.stage.address)
    return {"parameters": sum(p.numel() for p in distilled.network.parameters()), **numbers}


def distil(context: Context, params: Params) -> tuple[Student, Metrics]:
    """Train the student that ``params`` describes, and write ``training.csv`` with the numbers of every epoch.

    Returns:
        The student, and the numbers of the selected epoch.
    """
    context.run.dataset(context.path("train"), "train")
    control = context.path("control/model")
    data = TrainingData(
        context.path("train"),
        context.path("validation"),
        context.path("heldout"),
        context.path("soft_labels/answers"),
        control,
    )
    tokenizer = load_vocabulary(control / "tokenizer.json", params.student.vocabulary.size)
    start = student_start(params.student.start, context.path("teacher/model"), tokenizer)
    fitted = fit_student(
        context.stage.address, params, data, tokenizer, device=context.device, log=context.run, start=start
    )
    write_csv(context.out / "training.csv", fitted.history)
    return fitted.student, dict(fitted.selected)


if __name__ == "__main__":
    command("student", student)
