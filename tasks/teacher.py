"""Stage ``teacher``: fine-tune the complex model, on its own or regularised by a simple one."""

from tasks.stage import OUTPUTS, Context, Metrics, Stage, write_csv

STAGE = Stage("teacher", trains=True, retries=True)  # it may have to be fetched


def teacher(context: Context) -> Metrics:
    """Write ``model/`` (safetensors and tokenizer) and ``training.csv``."""
    import torch

    from stillhouse.data.splits import label_names, read_split
    from stillhouse.distillation.checkpoints import clear_scratch, scratch_folder
    from stillhouse.distillation.finetune import finetune
    from stillhouse.distillation.hints import read_hints
    from stillhouse.models.device import choose_device
    from stillhouse.models.pretrained import load_pretrained
    from stillhouse.provenance import file_md5, folder_md5

    params, data = context.params, OUTPUTS / "prepare"
    files = [data / "train.arrow", data / "validation.arrow"]
    for file in files:
        context.run.dataset(file, file.stem)
    train, validation = map(read_split, files)
    hints = OUTPUTS / "control" / "hints"
    digests = [*map(file_md5, files), folder_md5(hints)]
    seed = params.seed if params.teacher.seed is None else params.teacher.seed
    scratch = scratch_folder("teacher", params.teacher.model_dump(), seed, digests)
    torch.manual_seed(seed)  # of the new head
    model = load_pretrained(params.teacher, label_names(train))
    history = finetune(
        model,
        train,
        validation,
        params.teacher,
        read_hints(hints),
        device=choose_device(context.device),
        seed=seed,
        scratch=scratch,
        log=context.run,
    )
    model.model.save_pretrained(context.out / "model")
    model.tokenizer.save_pretrained(context.out / "model")
    write_csv(context.out / "training.csv", history)
    clear_scratch("teacher")
    best = max(history, key=lambda row: row["validation_accuracy"])
    return {"parameters": sum(p.numel() for p in model.model.parameters()), **best}


if __name__ == "__main__":
    STAGE.command(teacher)
