"""Stage ``control``: train the student's network on hard labels alone, the baseline of distillation.

It is also the simple model that regularises the teacher: the stage ``teacher`` reads its ``hints/``.
"""

from stillhouse.data.vocabulary import learn_vocabulary, vocabulary_texts
from stillhouse.distillation.hints import write_hints
from stillhouse.distillation.scratch import mark_finished
from stillhouse.distillation.student import TrainingData, fit_student
from stillhouse.files import write_csv
from stillhouse.models.students.student import save_student
from stillhouse.pipeline.context import Context
from stillhouse.pipeline.stage import Metrics, command


def control(context: Context) -> Metrics:
    """Learn the student's vocabulary and train the control. Writes ``model/``, ``hints/`` and ``training.csv``."""
    params = context.params
    context.run.dataset(context.path("train"), "train")
    train, unlabelled = context.read("train", "unlabelled")
    texts = vocabulary_texts([train, unlabelled], params.seed)
    data = TrainingData(context.path("train"), context.path("validation"))
    tokenizer = learn_vocabulary(texts, params.student.vocabulary)
    fitted = fit_student(
        "control", params, data, tokenizer, device=context.device, log=context.run, processes=params.flow.processes
    )
    save_student(fitted.student, context.out / "model")
    write_hints(params.teacher.regularise, fitted.student, train, context.out / "hints")
    write_csv(context.out / "training.csv", fitted.history)
    mark_finished("control")
    return {"vocabulary": tokenizer.get_vocab_size(), **fitted.selected}


if __name__ == "__main__":
    command("control", control)
