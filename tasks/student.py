"""Stage ``student``: distil the teacher's stored answers into the small network."""

from tasks.stage import OUTPUTS, Context, Metrics, Stage, write_csv

STAGE = Stage("student", trains=True)


def student(context: Context) -> Metrics:
    """Write ``model/`` and ``training.csv``."""
    import torch

    from stillhouse.data.vocabulary import load_vocabulary
    from stillhouse.distillation.checkpoints import clear_scratch
    from stillhouse.distillation.objective import Objective
    from stillhouse.distillation.student import best_epoch, fit_student
    from stillhouse.models.embeddings import teacher_embeddings
    from stillhouse.models.student import save_student
    from stillhouse.models.teacher import load_teacher

    settings, logits = context.params.student, OUTPUTS / "soften" / "train.npy"
    context.run.dataset(OUTPUTS / "prepare" / "train.arrow", "train")
    tokenizer = load_vocabulary(OUTPUTS / "control" / "model" / "tokenizer.json")
    embedding = None
    if settings.embeddings == "teacher":
        teacher = load_teacher(OUTPUTS / "teacher" / "model", context.params.teacher.max_length, torch.device("cpu"))
        embedding = teacher_embeddings(teacher.model, teacher.tokenizer, tokenizer, settings.network.embedding)
    distilled, history = fit_student(
        "student",
        context.params,
        OUTPUTS / "prepare",
        tokenizer,
        Objective(settings.alpha, settings.temperature, settings.loss),
        device=context.device,
        log=context.run.metrics,
        embedding=embedding,
        train_logits=logits,
    )
    save_student(distilled, context.out / "model")
    write_csv(context.out / "training.csv", history)
    clear_scratch("student")
    return {"parameters": sum(p.numel() for p in distilled.network.parameters()), **best_epoch(history)}


if __name__ == "__main__":
    STAGE.command(student)
