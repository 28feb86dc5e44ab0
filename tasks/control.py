"""Stage ``control``: the student's own architecture on hard labels alone; it shows what distillation is worth.

It is also the simple model of *model distillation*: ``hints/`` is what the teacher stage gets of it.
"""

from stillhouse.data.vocabulary import learn_vocabulary
from stillhouse.distillation.hints import write_hints
from stillhouse.distillation.scratch import mark_finished
from stillhouse.distillation.student import TrainingData, fit_student
from stillhouse.files import write_csv
from stillhouse.models.students.student import save_student
from stillhouse.pipeline.context import Context
from stillhouse.pipeline.stage import Metrics, command


def control(context: Context) -> Metrics:
    """Learn the student's vocabulary, then write ``model/``, ``hints/`` and ``training.csv``."""
    params = context.params
    context.run.dataset(context.path("train"), "train")
    train, unlabelled = context.read("train", "unlabelled")
    texts = (text for split in (train, unlabelled) for batch in split.iter(1000) for text in batch["text"])
    data = TrainingData(context.path("train"), context.path("validation"))
    tokenizer = learn_vocabulary(texts, params.student.vocabulary)
    fitted = fit_student("control", params, data, tokenizer, device=context.device, log=context.run)
    save_student(fitted.student, context.out / "model")
    write_hints(params.teacher.regularise, fitted.student, train, context.out / "hints")
    write_csv(context.out / "training.csv", fitted.history)
    mark_finished("control")
    return {"vocabulary": tokenizer.get_vocab_size(), **fitted.selected}


if __name__ == "__main__":
    command("control", control)
