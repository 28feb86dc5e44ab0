"""The table of stages, ``dvc.yaml`` that is generated from it, and the directions of imports."""

import copy
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from dvc.stage.cache import _get_cache_hash
from project import ROOT

from stillhouse.params import load_params
from stillhouse.params.files import read_yaml
from stillhouse.pipeline.artefacts import path
from stillhouse.pipeline.context import Context
from stillhouse.pipeline.dvc_file import MARK, dvc_yaml, own_lines
from stillhouse.pipeline.imports import code_of, imported
from stillhouse.pipeline.run_cache import unseen
from stillhouse.pipeline.stages import CHAIN, DEVICE_CHAIN, Stage
from stillhouse.pipeline.stages import STAGES as STAGES_BY_NAME

STAGES, DEVICE_STAGES = ([stage.name for stage in chain] for chain in (CHAIN, DEVICE_CHAIN))
STEPS = read_yaml(ROOT / "dvc.yaml")["stages"]
PIPELINE = {name: stage.get("do", stage) for name, stage in STEPS.items()}


def test_dvc_yaml_is_what_the_table_of_stages_gives():
    written = (ROOT / "dvc.yaml").read_text(encoding="utf-8")
    assert written == dvc_yaml(ROOT), "run python -m stillhouse.pipeline.dvc_file"


def test_stages_of_a_user_survive_below_the_mark(tmp_path):
    own = "  mine:\n    cmd: echo mine\n"
    (tmp_path / "dvc.yaml").write_text("stages:\n  old: {}\n" + MARK + own, encoding="utf-8")
    assert own_lines(tmp_path / "dvc.yaml") == own
    (tmp_path / "dvc.yaml").write_text((ROOT / "dvc.yaml").read_text(encoding="utf-8") + own, encoding="utf-8")
    assert read_yaml(tmp_path / "dvc.yaml")["stages"]["mine"] == {"cmd": "echo mine"}


@pytest.mark.parametrize("stage", STAGES + DEVICE_STAGES)
def test_a_stage_depends_on_code_that_exists_and_on_no_plumbing(stage):
    code = code_of(stage, ROOT)
    assert f"tasks/{stage}.py" in code
    assert all((ROOT / file).exists() for file in code)
    assert not [file for file in code if file.startswith("stillhouse/pipeline/")]


def test_a_new_import_becomes_a_dependency(tmp_path):
    for name, text in {
        "tasks/control.py": "from stillhouse.data.one import x\n",
        "stillhouse/data/one.py": "def x():\n    from stillhouse.data.parts.two import y\n",
        "stillhouse/data/parts/two.py": "y = 1\n",
        "stillhouse/data/unused.py": "z = 1\n",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    assert code_of("control", tmp_path) == ["stillhouse/data/one.py", "stillhouse/data/parts", "tasks/control.py"]


def run_cache_hash(stage: Stage, content: dict[str, Any]) -> str:
    """The hash by which DVC looks for an earlier run, of the parameters alone."""
    values = {}
    for key in stage.of("edge").keys:
        values[key] = content
        for part in key.split("."):
            values[key] = values[key][part]
    return _get_cache_hash({"cmd": "", "params": {"params.yaml": values}})


def leaves(content: Any, place: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    if isinstance(content, dict) and content:
        for name, value in content.items():
            yield from leaves(value, (*place, name))
    else:
        yield place


def test_dvc_sees_every_change_of_a_parameter_when_it_looks_for_an_earlier_run():
    content = load_params(ROOT / "params.yaml").model_dump(by_alias=True)
    limits = {"threads": 1, "min_retention": 0.9, "max_size_mb": 2.0, "max_latency_ms": 5.0, "min_class_recall": None}
    content["devices"] = {"edge": limits | {"size": "nano", "student": {"vocabulary": {"pieces": 9}}, "compress": {}}}
    assert unseen(content) == []
    seen = set()
    for stage in (*CHAIN, *DEVICE_CHAIN):
        before, keys = run_cache_hash(stage, content), stage.of("edge").keys
        for place in leaves(content):
            if not any(f"{'.'.join(place)}.".startswith(f"{key}.") for key in keys):
                continue
            changed = copy.deepcopy(content)
            section = changed
            for name in place[:-1]:
                section = section[name]
            section[place[-1]] = "another value"
            assert run_cache_hash(stage, changed) != before, f"{stage.name}: {'.'.join(place)}"
            seen.add(place)
    assert {("student", "size"), ("student", "vocabulary", "pieces"), ("devices", "edge", "size")} <= seen


def test_a_key_that_dvc_does_not_see_is_found_wherever_a_user_named_it():
    content = {
        "data": {"classes": {"size": None, "colour": None}},
        "teacher": {"others": [{"labels": {"nfiles": "x"}}]},
    }
    assert unseen(content) == ["data.classes.size", "teacher.others.labels.nfiles"]


def test_every_declared_parameter_exists():
    for stage in CHAIN:
        for key in stage.params:
            section = load_params(ROOT / "params.yaml").model_dump(by_alias=True)
            for part in key.split("."):
                section = section[part]


def test_a_stage_sees_only_what_it_declares(monkeypatch):
    monkeypatch.chdir(ROOT)
    context = Context(load_params(), "cpu", Path(), None, STAGES_BY_NAME["control"], None)
    assert context.path("train") == Path("outputs/prepare/train.arrow")
    with pytest.raises(KeyError, match="control does not declare test"):
        context.path("test")
    device = replace(context, stage=STAGES_BY_NAME["deploy"].of("phone"))
    assert device.path("device/model") == Path("outputs/device/phone/model")
    with pytest.raises(KeyError, match="declares no model.bin"):
        path("student/model.bin")


def test_only_the_table_of_stages_names_the_folders_of_artefacts():
    joined = re.compile(f"OUTPUTS / f?[\"']({'|'.join(STAGES_BY_NAME)})")
    for folder in ("flows", "tasks", "stillhouse", "benchmarks"):
        for file in (ROOT / folder).rglob("*.py"):
            assert not joined.search(file.read_text(encoding="utf-8")), file


def stages_that_list(key: str) -> set[str]:
    return {
        name
        for name, stage in PIPELINE.items()
        if any(key == listed or key.startswith(f"{listed}.") for listed in stage["params"])
    }


def downstream(changed: set[str]) -> set[str]:
    while True:
        outs = {
            str(out if isinstance(out, str) else next(iter(out)))
            for name in changed
            for part in ("outs", "metrics", "plots")
            for out in PIPELINE[name].get(part, [])
        }
        more = {
            name
            for name, stage in PIPELINE.items()
            if any(str(dep).startswith(out) for dep in stage["deps"] for out in outs)
        }
        if more <= changed:
            return changed
        changed = changed | more


@pytest.mark.parametrize(
    ("key", "first"),
    [("student.temperature", "student"), ("student.alpha", "student"), ("compress.quantisation", "compress")],
)
def test_a_parameter_reruns_from_its_own_stage_on(key, first):
    assert downstream(stages_that_list(key)) - {*DEVICE_STAGES} == set(STAGES[STAGES.index(first) :])


def test_another_teacher_reruns_what_reads_it_and_the_control_does_not():
    # The stage label has the same results without a machine, so that DVC skips the control.
    assert {"label", "teacher"} <= stages_that_list("teacher.model") and "control" not in stages_that_list(
        "teacher.model"
    )
    assert downstream({"teacher"}) >= {*STAGES[STAGES.index("teacher") + 1 :], *DEVICE_STAGES}


def test_arrows_run_one_way():
    for file in ROOT.glob("stillhouse/**/*.py"):
        name = str(file.relative_to(ROOT))
        assert not {used for used in imported(name, ROOT) if used.startswith(("tasks/", "flows/"))}, name
        if name.startswith(("stillhouse/models/", "stillhouse/data/")):
            above = ("stillhouse/evaluation/", "stillhouse/compression/", "stillhouse/distillation/")
            assert not {used for used in imported(name) if used.startswith(above)}, name
        if not name.startswith("stillhouse/tracking/") and name != "stillhouse/serving/mlflow_model.py":
            assert not re.search(r"^\s*(import|from) mlflow", file.read_text(), re.MULTILINE), name
    for file in ROOT.glob("tasks/**/*.py"):
        assert not {used for used in imported(str(file.relative_to(ROOT)), ROOT) if used.startswith("flows/")}, file


def test_files_stay_small():
    for folder in ("flows", "tasks", "stillhouse"):
        for file in Path(ROOT / folder).rglob("*.py"):
            assert len(file.read_text().splitlines()) <= 250, file
