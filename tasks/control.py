"""Stage ``control``: the student's own architecture on hard labels alone; it shows what distillation is worth."""

from tasks.stage import OUTPUTS, Context, Metrics, Stage, write_csv

STAGE = Stage("control", trains=True)


def control(context: Context) -> Metrics:
    """Learn the student's vocabulary, then write ``model/`` and ``training.csv``."""
    from stillhouse.data.splits import read_split
    from stillhouse.data.vocabulary import learn_vocabulary
    from stillhouse.distillation.checkpoints import clear_scratch
    from stillhouse.distillation.objective import Objective
    from stillhouse.distillation.student import best_epoch, fit_student
    from stillhouse.models.student import save_student

    data = OUTPUTS / "prepare"
    context.run.dataset(data / "train.arrow", "train")
    texts = (text for batch in read_split(data / "train.arrow").iter(1000) for text in batch["text"])
    tokenizer = learn_vocabulary(texts, context.params.student.vocabulary)
    student, history = fit_student(
        "control",
        context.params,
        data,
        tokenizer,
        Objective(),
        device=context.device,
        log=context.run.metrics,
    )
    save_student(student, context.out / "model")
    write_csv(context.out / "training.csv", history)
    clear_scratch("control")
    return {"vocabulary": tokenizer.get_vocab_size(), **best_epoch(history)}


if __name__ == "__main__":
    STAGE.command(control)
