"""``dvc.yaml`` against the code: DVC does not follow imports, so the lists must be kept right by this."""

import ast
from pathlib import Path

import pytest
from project import ROOT

from stillhouse.chain import CHAIN, DEVICE_CHAIN
from stillhouse.params import load_params
from stillhouse.params.files import read_yaml

STAGES, DEVICE_STAGES = ([stage.name for stage in chain] for chain in (CHAIN, DEVICE_CHAIN))
STEPS = read_yaml(ROOT / "dvc.yaml")["stages"]
PIPELINE = {name: stage.get("do", stage) for name, stage in STEPS.items()}
# Changing these changes how a stage is run, checked and recorded, not what it gives.
PLUMBING = {
    "tasks/__init__.py",
    "tasks/shared/__init__.py",
    "tasks/shared/files.py",
    "tasks/shared/language.py",
    "tasks/shared/links.py",
    "tasks/shared/lock.py",
    "tasks/shared/moved.py",
    "tasks/shared/stage.py",
    "stillhouse/chain.py",
    "stillhouse/__init__.py",
    "stillhouse/errors.py",
    *(str(file.relative_to(ROOT)) for file in ROOT.glob("stillhouse/params/*.py") if file.name != "naming.py"),
    "stillhouse/provenance.py",
    "stillhouse/registry.py",
    "stillhouse/tracking/__init__.py",
    "stillhouse/tracking/runs.py",
    "stillhouse/tracking/store.py",
    "stillhouse/distillation/checkpoints.py",
    "stillhouse/distillation/log.py",
    "stillhouse/distillation/scratch.py",
    "stillhouse/models/device.py",
    "stillhouse/models/__init__.py",
    "stillhouse/models/students/__init__.py",
    "stillhouse/data/__init__.py",
    "stillhouse/distillation/__init__.py",
    "stillhouse/evaluation/__init__.py",
    "stillhouse/compression/__init__.py",
}

# Code that is not imported but copied into the registered model.
COPIED = {"stillhouse/tracking/identity.py": {"stillhouse/tracking/served.py"}}

# A registry imports the modules in its folder by their names (stillhouse/registry.py): what uses it depends on all.
LISTED = {
    "stillhouse/compression/quantisations/__init__.py": "stillhouse/compression/quantisations/*.py",
    "stillhouse/data/sources/__init__.py": "stillhouse/data/sources/*.py",
    "stillhouse/distillation/losses/__init__.py": "stillhouse/distillation/losses/*.py",
    "stillhouse/models/students/architectures/__init__.py": "stillhouse/models/students/architectures/*.py",
}

# A result may depend on code through a file that changes with it: outputs/control/hints carries a digest of the
# students' code where the teacher learns along with one, and nothing of it otherwise.
THROUGH_FILES = {"teacher": ("stillhouse/models/students/", "stillhouse/models/initialisation.py")}


def module_files(name: str) -> set[str]:
    base = ROOT / name.replace(".", "/")
    found = {base.with_suffix(".py"), base / "__init__.py"}
    return {str(file.relative_to(ROOT)) for file in found if file.exists()}


def imported(file: str) -> set[str]:
    """The project's files that ``file`` imports, also within functions."""
    names: set[str] = set()
    for node in ast.walk(ast.parse((ROOT / file).read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    mine = {name for name in names if name.split(".")[0] in ("stillhouse", "tasks", "flows")}
    return set().union(*(module_files(name) for name in mine)) if mine else set()


def listed(file: str) -> list[str]:
    """The modules that the registry in ``file`` imports by name; none where there is no registry."""
    return [str(found.relative_to(ROOT)) for found in ROOT.glob(LISTED[file])] if file in LISTED else []


def closure(file: str) -> set[str]:
    seen, todo = set(), [file]
    while todo:
        current = todo.pop()
        if current not in seen:
            seen.add(current)
            # What plumbing imports is for its own work.
            todo += [] if current in PLUMBING else [*imported(current), *COPIED.get(current, ()), *listed(current)]
    return seen


@pytest.mark.parametrize("stage", STAGES + DEVICE_STAGES)
def test_a_stage_lists_every_module_that_its_result_depends_on(stage):
    listed = {str(dep) for dep in PIPELINE[stage]["deps"]}
    needed = closure(f"tasks/{stage}.py") - PLUMBING
    needed = {file for file in needed if not file.startswith(THROUGH_FILES.get(stage, "-"))}
    missing = {file for file in needed if not any(file == dep or file.startswith(f"{dep}/") for dep in listed)}
    assert not missing, f"add to deps of {stage} in dvc.yaml: {sorted(missing)}"
    code = {dep for dep in listed if dep.startswith(("tasks/", "stillhouse/"))}
    useless = {dep for dep in code if not any(file == dep or file.startswith(f"{dep}/") for file in needed)}
    assert not useless, f"remove from deps of {stage} in dvc.yaml: {sorted(useless)}"


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_lists_exactly_the_parameters_that_it_reads(stage):
    params = load_params(ROOT / "params.yaml").model_dump(by_alias=True)
    for key in PIPELINE[stage]["params"]:
        section = params
        for part in key.split("."):
            section = section[part]


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


def test_the_teacher_reruns_from_the_teacher_on():
    assert downstream(stages_that_list("teacher.model")) == {*STAGES[STAGES.index("teacher") :], *DEVICE_STAGES}


def test_arrows_run_one_way():
    for file in ROOT.glob("stillhouse/**/*.py"):
        name = str(file.relative_to(ROOT))
        assert not {used for used in imported(name) if used.startswith(("tasks/", "flows/"))}, name
        if name.startswith(("stillhouse/models/", "stillhouse/data/")):
            above = ("stillhouse/evaluation/", "stillhouse/compression/", "stillhouse/distillation/")
            assert not {used for used in imported(name) if used.startswith(above)}, name
        if not name.startswith("stillhouse/tracking/"):
            assert "import mlflow" not in file.read_text(), name
    for file in ROOT.glob("tasks/**/*.py"):
        assert not {used for used in imported(str(file.relative_to(ROOT))) if used.startswith("flows/")}, file


def test_files_stay_small():
    for folder in ("flows", "tasks", "stillhouse"):
        for file in Path(ROOT / folder).rglob("*.py"):
            assert len(file.read_text().splitlines()) <= 250, file
