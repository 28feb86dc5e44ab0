"""What rotted or was cut short is named or made again, and never used."""

import os
import stat
from pathlib import Path

import pytest
from project import Project

from stillhouse.errors import BadInput
from stillhouse.pipeline.artefacts import inputs_of
from stillhouse.pipeline.inputs import check_inputs
from stillhouse.pipeline.stages import STAGES

READ = {  # by which stage
    "prepare/train.arrow": "control",
    "prepare/validation.arrow": "teacher",
    "prepare/test.arrow": "evaluate",
    "prepare/unlabelled.arrow": "soft_labels",
    "control/model/tokenizer.json": "student",
    "control/model/model.safetensors": "evaluate",
    "teacher/model/model.safetensors": "soft_labels",
    "teacher/model/config.json": "evaluate",
    "soft_labels/answers/logits.npy": "student",
    "student/model/model.safetensors": "compress",
    "student/model/config.json": "compress",
    "compress/model/model.onnx": "register",
    "compress/model/tokenizer.json": "evaluate",
    "evaluate/metrics.json": "register",
}


def damage(file: Path, how: str) -> None:
    """Change ``file`` as a failing disk does: its time and mode stay."""
    before, content = file.stat(), bytearray(file.read_bytes())
    if how == "cut short":
        content = content[: len(content) // 2]
    else:
        content[len(content) // 2] ^= 0x10
    file.chmod(before.st_mode | stat.S_IWUSR)
    file.write_bytes(content)
    file.chmod(stat.S_IMODE(before.st_mode))
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


def test_every_stage_of_a_whole_project_finds_its_inputs_whole(finished, monkeypatch):
    monkeypatch.chdir(finished.folder)
    for name in ("control", "teacher", "soft_labels", "student", "compress", "evaluate", "register"):
        assert inputs_of(STAGES[name])
        check_inputs(STAGES[name])


@pytest.mark.parametrize("how", ["cut short", "one bit flipped"])
def test_every_damaged_artifact_is_named_with_how_it_is_made_again(project, monkeypatch, how):
    monkeypatch.chdir(project.folder)
    for name, reader in READ.items():
        file = project.folder / "outputs" / name
        whole = file.read_bytes()
        damage(file, how)
        maker = name.split("/")[0]
        with pytest.raises(BadInput, match=rf"outputs/{maker}/.* is damaged.*dvc repro --force --single-item {maker}"):
            check_inputs(STAGES[reader])
        damage_undone(file, whole)
        check_inputs(STAGES[reader])


def damage_undone(file: Path, whole: bytes) -> None:
    file.chmod(0o644)
    file.write_bytes(whole)


def test_what_rots_in_the_cache_is_not_used_and_the_advice_heals_it(project):
    import shutil

    cached = cached_file(project, "outputs/student/model/model.safetensors")
    damage(cached, "one bit flipped")
    shutil.rmtree(project.folder / "outputs" / "student" / "model")
    project.set(compress__tolerance=0.01)  # so that compress has to run
    done = project.dvc("repro", "compress")
    assert done.returncode and "Traceback" not in done.stdout and "Running stage 'student'" not in done.stdout
    message = "compress failed: outputs/student/model is damaged: it is not what the stage student wrote"
    assert message in done.stdout, done.stdout
    healed = project.dvc("repro", "--force", "--single-item", "student")
    assert healed.returncode == 0, healed.stdout
    again = project.dvc("repro", "--single-item", "compress")
    assert again.returncode == 0, again.stdout


def cached_file(project: Project, path: str) -> Path:
    """Where DVC keeps the content of a file."""
    from stillhouse.provenance import file_md5

    digest = file_md5(project.folder / path)
    return project.folder / ".dvc" / "cache" / "files" / "md5" / digest[:2] / digest[2:]
