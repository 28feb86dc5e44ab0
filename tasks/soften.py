"""Stage ``soften``: the teacher's answers to the transfer set, once; students never run the teacher."""

import logging

import numpy as np

from stillhouse.chain import OUTPUTS
from stillhouse.data.splits import labels_of, read_split
from stillhouse.data.transfer import write_transfer
from stillhouse.distillation.answers import VALIDATION
from stillhouse.distillation.softlabels import write_answers
from stillhouse.evaluation.metrics import accuracy, softmax
from stillhouse.models.batching import SIZES
from stillhouse.models.device import choose_device, use_bf16
from stillhouse.models.teacher import load_teacher
from tasks.shared.stage import Context, Metrics, command

logger = logging.getLogger(__name__)


def soften(context: Context) -> Metrics:
    """Write ``answers/``: the texts beside ``train.arrow``, and the teacher's answers to all of them."""
    params, settings, device = context.params, context.params.soften, choose_device(context.device)
    train = read_split(OUTPUTS / "prepare" / "train.arrow")
    context.run.dataset(OUTPUTS / "prepare" / "train.arrow", "transfer set")
    answers = context.out / "answers"
    answers.mkdir()
    unlabelled = read_split(OUTPUTS / "prepare" / "unlabelled.arrow")
    extra = write_transfer(train, unlabelled, settings.augment, params.seed, answers / "extra.arrow")
    teacher = load_teacher(OUTPUTS / "teacher" / "model", params.teacher.max_length, device)
    bf16 = use_bf16(params.teacher.bf16, device)
    batch_size = settings.batch_size
    if batch_size == "auto":
        batch_size = teacher.fastest_batch(train[: max(SIZES)]["text"], bf16)
        logger.info("the teacher answers %d texts at once", batch_size)
    logits = write_answers(
        teacher,
        [train, read_split(answers / "extra.arrow")],
        batch_size,
        bf16,
        settings.relation_words,
        answers,
    )
    validation = list(read_split(OUTPUTS / "prepare" / "validation.arrow")["text"])
    np.save(answers / VALIDATION, teacher.logits(validation, batch_size, bf16))
    return {
        "texts": len(train),
        "extra_texts": extra,
        "train_accuracy": accuracy(labels_of(train), logits[: len(train)].argmax(1)),
        "mean_confidence": float(softmax(logits).max(1).mean()),
    }


if __name__ == "__main__":
    command("soften", soften)
