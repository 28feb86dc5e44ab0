"""Stage ``control``: the student's own architecture on hard labels alone; it shows what distillation is worth.

It is also the simple model of *model distillation*: ``hints/`` is what the teacher stage gets of it.
"""

from stillhouse.chain import OUTPUTS
from stillhouse.data.splits import read_split
from stillhouse.data.vocabulary import learn_vocabulary
from stillhouse.distillation.hints import write_hints
from stillhouse.distillation.scratch import mark_finished
from stillhouse.distillation.student import fit_student
from stillhouse.models.students.student import save_student
from tasks.shared.files import write_csv
from tasks.shared.stage import Context, Metrics, command


def control(context: Context) -> Metrics:
    """Learn the student's vocabulary, then write ``model/``, ``hints/`` and ``training.csv``."""
    data, params = OUTPUTS / "prepare", context.params
    context.run.dataset(data / "train.arrow", "train")
    train, unlabelled = (read_split(data / f"{name}.arrow") for name in ("train", "unlabelled"))
    texts = (text for split in (train, unlabelled) for batch in split.iter(1000) for text in batch["text"])
    tokenizer = learn_vocabulary(texts, params.student.vocabulary)
    fitted = fit_student("control", params, data, tokenizer, device=context.device, log=context.run)
    save_student(fitted.student, context.out / "model")
    write_hints(params.teacher.regularise, fitted.student, train, context.out / "hints")
    write_csv(context.out / "training.csv", fitted.history)
    mark_finished("control")
    return {"vocabulary": tokenizer.get_vocab_size(), **fitted.selected}


if __name__ == "__main__":
    command("control", control)
