"""Stage ``compress``: the trained student as a small ONNX file that answers as it does."""

import json
import shutil

from tasks.stage import OUTPUTS, Context, Metrics, Stage

STAGE = Stage("compress")


def compress(context: Context) -> Metrics:
    """Write ``model/``: ``model.onnx``, ``tokenizer.json`` and ``config.json``, all that serving needs."""
    from stillhouse.compression.export import export_onnx, quantise_int8
    from stillhouse.compression.parity import check_parity
    from stillhouse.models.students.student import load_student

    settings, source = context.params.compress, OUTPUTS / "student" / "model"
    student = load_student(source)
    model = context.out / "model"
    model.mkdir()
    plain = context.out / "float32.onnx"
    export_onnx(student, plain)
    if settings.quantisation == "int8":
        quantise_int8(plain, model / "model.onnx")
    else:
        shutil.copy(plain, model / "model.onnx")
    float_bytes = plain.stat().st_size
    plain.unlink()
    shutil.copy(source / "tokenizer.json", model)
    config = {"labels": student.label_names, "max_length": student.settings.max_length}
    (model / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    parity = check_parity(student, model, OUTPUTS / "prepare" / "validation.arrow", settings.parity)
    size = sum(file.stat().st_size for file in model.iterdir())
    return {"bytes": size, "onnx_float32_bytes": float_bytes, **parity}


if __name__ == "__main__":
    STAGE.command(compress)
