"""Local files that params.yaml names: dependencies of their stages, wherever they are and however they are named."""

import json
import shutil
from pathlib import Path

import pytest
from material import tiny_teacher
from project import ROOT

from flows.shared.workspace import workspace
from stillhouse.params import Params, declared, load_params
from stillhouse.pipeline.inputs import digest_of
from stillhouse.pipeline.links import NOTHING, link_inputs


def changed(params: Params, **sections) -> Params:
    new = {name: getattr(params, name).model_copy(update=values) for name, values in sections.items()}
    return params.model_copy(update=new)


@pytest.fixture
def params() -> Params:
    return load_params(ROOT / "params.yaml")


def leads_to(folder: Path, name: str) -> str | None:
    link = folder / "inputs" / name
    return str(link.readlink()) if link.is_symlink() else None


def test_each_local_file_is_linked_and_what_is_none_is_not(tmp_path, params):
    for name in ("hub", "teacher", "project/texts"):
        (tmp_path / name).mkdir(parents=True)
    project = tmp_path / "project"
    (project / "cases.csv").write_text("text,label,same_as\n")
    link_inputs(params, project)
    assert [leads_to(project, name) for name in ("data", "teacher", "cases")] == [None, None, "../cases.csv"]
    assert (project / "inputs" / "data").read_text() == NOTHING
    local = changed(params, data={"source": "files", "path": "texts"}, teacher={"model": str(tmp_path / "teacher")})
    link_inputs(local, project)
    assert leads_to(project, "data") == "../texts" and leads_to(project, "teacher") == str(tmp_path / "teacher")
    hub = changed(params, data={"source": "hub", "hub_id": "../hub"}, teacher={"model": "some/encoder"})
    link_inputs(hub, project)
    assert leads_to(project, "data") == "../../hub" and (project / "inputs" / "data").is_dir()
    assert (project / "inputs" / "teacher").read_text() == NOTHING
    link_inputs(changed(params, data={"source": "files", "path": "gone"}), project)
    assert (project / "inputs" / "data").read_text() == NOTHING  # not a link to nothing, which would stop DVC


def test_a_link_that_is_right_is_left_and_what_a_zip_made_of_it_is_replaced(tmp_path, params):
    (tmp_path / "cases.csv").touch()
    link_inputs(params, tmp_path)
    times = {file: file.lstat().st_mtime_ns for file in (tmp_path / "inputs").iterdir()}
    link_inputs(params, tmp_path)
    assert times == {file: file.lstat().st_mtime_ns for file in (tmp_path / "inputs").iterdir()}
    (tmp_path / "inputs" / "cases").unlink()
    (tmp_path / "inputs" / "cases").write_text("../cases.csv")
    link_inputs(params, tmp_path)
    assert leads_to(tmp_path, "cases") == "../cases.csv"


def test_paths_mean_the_same_in_a_copy_of_the_project_and_the_file_stays_as_it_was(tmp_path, monkeypatch):
    project, home = tmp_path / "project", tmp_path / "home"
    for folder in (project, home):
        folder.mkdir()
    monkeypatch.setenv("HOME", str(home))
    for name in ("tasks", "stillhouse", "flows"):
        (project / name).mkdir()
    for name in ("dvc.yaml", "params.yaml", ".dvcignore"):
        shutil.copy(ROOT / name, project / name)
    (project / ".dvc").mkdir()
    (project / ".dvc" / "config").touch()
    folders = [project / name / "config.json" for name in ("teacher", "encoder")]
    for file in (tmp_path / "x.csv", home / "cases.csv", *folders):
        file.parent.mkdir(exist_ok=True)
        file.touch()
    text = (project / "params.yaml").read_text()
    for old, new in (
        ("source: sample ", "source: files "),
        ("path: data ", "path: ../x.csv "),
        ("model: sample ", "model: teacher "),
        ("others: [] ", "others: [{model: encoder}, {epochs: 1}] "),
        ("cases: cases.csv", "cases: ~/cases.csv"),
    ):
        assert old in text
        text = text.replace(old, new)
    (project / "params.yaml").write_text(text)
    assert load_params(project / "params.yaml").evaluate.cases == str(home / "cases.csv")
    copy = workspace(project / ".stillhouse" / "labels" / "8-13", {}, project)
    assert (copy / "params.yaml").read_text() == text  # or DVC would know nothing of the same run of before
    here = load_params(copy / "params.yaml")
    assert Path(here.data.path) == tmp_path / "x.csv" and Path(here.teacher.model) == project / "teacher"
    assert [one.model for one in here.teacher.others] == [str(project / "encoder"), None]
    linked = {"data": tmp_path / "x.csv", "teacher": project / "teacher", "teacher2": project / "encoder"}
    for name, file in (linked | {"cases": home / "cases.csv"}).items():
        assert (copy / "inputs" / name).resolve() == file
    assert (copy / "inputs" / "teacher3").read_text() == NOTHING
    assert not (copy / "teacher").exists()


def stale(project) -> list[str]:
    done = project.dvc("status", "--json")
    return list(json.loads(done.stdout.strip().splitlines()[-1]))


def test_a_teacher_trained_again_under_the_same_path_reruns_the_stage_and_so_do_changed_cases(project):
    assert stale(project) == []
    weights = project.folder / "data" / "teacher" / "model.safetensors"
    old = weights.read_bytes()
    weights.write_bytes(old[:-1] + bytes([old[-1] ^ 1]))
    assert stale(project) == ["label", "teacher"]
    weights.write_bytes(old)
    (project.folder / "cases.csv").write_text("text,label,same_as\n")
    assert stale(project) == ["student", "evaluate"]  # the cases decide about a size of the student


def test_a_local_folder_that_is_named_as_a_hub_dataset_is_a_dependency(tmp_path, params):
    (tmp_path / "set").mkdir()
    file = tmp_path / "set" / "train.csv"
    file.write_text("text,label\na,b\n")
    link_inputs(changed(params, data={"source": "hub", "hub_id": "set"}), tmp_path)
    before = digest_of(tmp_path / "inputs" / "data")
    file.write_text("text,label\na,c\n")
    assert digest_of(tmp_path / "inputs" / "data") != before


def test_the_sample_is_these_very_files():
    from stillhouse.data import sample

    assert sample.digest_of(sample.text_files()) == sample.TEXTS_SHA256


def test_a_stage_sees_the_parameters_that_it_lists_and_no_others(params):
    seen = declared(params, ["seed", "soft_labels", "teacher.max_length", "student.network.wide"])
    assert seen.seed == params.seed and seen.soft_labels == params.soft_labels
    assert seen.teacher.max_length == params.teacher.max_length
    assert seen.student.network.wide == params.student.network.wide
    for read in (
        lambda: seen.teacher.bf16,
        lambda: seen.student.network.depth,
        lambda: seen.student.training,
        lambda: seen.register_,
    ):
        with pytest.raises(AttributeError, match=r"is not among the stage's params in dvc.yaml"):
            read()
    assert params.teacher.bf16 == "auto"  # the parameters themselves are as they were


def test_a_hub_name_is_no_path(tmp_path):
    text = (ROOT / "params.yaml").read_text().replace("model: sample ", "model: a/b ")
    (tmp_path / "params.yaml").write_text(text)
    (tmp_path / ".stillhouse").mkdir()
    (tmp_path / ".stillhouse" / "origin").write_text(str(tmp_path))
    assert load_params(tmp_path / "params.yaml").teacher.model == "a/b"
    tiny_teacher(tmp_path / "a" / "b")
    assert load_params(tmp_path / "params.yaml").teacher.model == str(tmp_path / "a" / "b")
