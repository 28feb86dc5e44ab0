"""Stage ``soften``: the teacher's logits for the transfer set, once; students never run the teacher."""

from tasks.stage import OUTPUTS, Context, Metrics, Stage

STAGE = Stage("soften", trains=True)


def soften(context: Context) -> Metrics:
    """Write ``train.npy``: logits, float32 (texts, classes), in the order of ``train.arrow``."""
    from stillhouse.data.splits import labels_of, read_split
    from stillhouse.distillation.softlabels import soft_labels
    from stillhouse.evaluation.metrics import accuracy, softmax
    from stillhouse.models.device import choose_device, use_bf16
    from stillhouse.models.teacher import load_teacher

    settings, device = context.params.teacher, choose_device(context.device)
    train = read_split(OUTPUTS / "prepare" / "train.arrow")
    context.run.dataset(OUTPUTS / "prepare" / "train.arrow", "transfer set")
    teacher = load_teacher(OUTPUTS / "teacher" / "model", settings.max_length, device)
    logits = soft_labels(
        teacher,
        train,
        context.params.soften.batch_size,
        use_bf16(settings.bf16, device),
        context.out / "train.npy",
    )
    return {
        "texts": len(train),
        "train_accuracy": accuracy(labels_of(train), logits.argmax(1)),
        "mean_confidence": float(softmax(logits).max(1).mean()),
    }


if __name__ == "__main__":
    STAGE.command(soften)
