"""Find the modules that a stage's result depends on. DVC does not follow imports, so ``dvc.yaml`` lists them."""

import ast
from pathlib import Path

PACKAGES = ("stillhouse", "tasks", "flows")
# Code that runs, checks and records a stage. A change here does not change a result, so no stage depends on it.
PLUMBING = (
    "stillhouse/cluster.py",
    "stillhouse/distillation/checkpoints.py",
    "stillhouse/distillation/log.py",
    "stillhouse/distillation/parallel/launch.py",
    "stillhouse/distillation/parallel/nodes.py",
    "stillhouse/distillation/scratch.py",
    "stillhouse/data/language.py",
    "stillhouse/errors.py",
    "stillhouse/files.py",
    "stillhouse/models/device.py",
    "stillhouse/params/",
    "stillhouse/pipeline/",
    "stillhouse/progress.py",
    "stillhouse/project.py",
    "stillhouse/provenance.py",
    "stillhouse/registry.py",
    "stillhouse/tracking/__init__.py",
    "stillhouse/tracking/address.py",
    "stillhouse/tracking/data_drift.py",
    "stillhouse/tracking/runs.py",
    "stillhouse/tracking/search.py",
    "stillhouse/tracking/store.py",
)
# Exceptions: modules of PLUMBING that a result does depend on.
RESULTS = ("stillhouse/params/naming.py",)
# Packages whose modules a registry imports by name (stillhouse/registry.py). A module that imports the package depends
# on all of its modules.
REGISTRIES = (
    "stillhouse/compression/quantisations",
    "stillhouse/data/sources",
    "stillhouse/distillation/losses",
    "stillhouse/models/students/architectures",
)
# Files that a module reads without importing them.
READ = {
    "stillhouse/evaluation/model_card.py": ("stillhouse/evaluation/card.md.jinja",),
    "stillhouse/evaluation/report.py": (
        "stillhouse/evaluation/cascade.html.jinja",
        "stillhouse/evaluation/confidence.html.jinja",
        "stillhouse/evaluation/machine.html.jinja",
        "stillhouse/evaluation/models.html.jinja",
        "stillhouse/evaluation/report.html.jinja",
        "stillhouse/evaluation/steps.html.jinja",
        "stillhouse/evaluation/style.css",
    ),
    "stillhouse/labelling/language_model/prompt.py": ("stillhouse/labelling/language_model/default.jinja",),
    "stillhouse/tracking/identity.py": ("stillhouse/serving/mlflow_model.py",),  # copied into the registered model
}
# Dependencies that a file already records: outputs/control/hints holds a digest of the students' code if the teacher is
# trained together with a student. Otherwise the teacher does not depend on that code.
THROUGH_FILES = {"teacher": ("stillhouse/models/students/", "stillhouse/models/initialisation.py")}


def code_of(stage: str, root: Path = Path()) -> list[str]:
    """Return the files and folders that the result of a stage depends on, sorted.

    A folder stands for its files if the result depends on all of them.
    """
    files = {file for file in _closure(f"tasks/{stage}.py", root) if not _is_plumbing(file)}
    files = {file for file in files if not file.startswith(THROUGH_FILES.get(stage, "-"))}
    folders = {str(Path(file).parent) for file in files} - {"stillhouse", "tasks"}
    whole = {folder for folder in folders if _modules(folder, root) <= files}
    return sorted(path for path in files | whole if not any(str(above) in whole for above in Path(path).parents))


def imported(file: str, root: Path = Path()) -> set[str]:
    """Return the project's files that ``file`` imports, at module level or within functions."""
    names: set[str] = set()
    for node in ast.walk(ast.parse((root / file).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    own = [name for name in names if name.split(".")[0] in PACKAGES]
    return {file for name in own for file in _files(name, root)}


def _closure(file: str, root: Path) -> set[str]:
    seen: set[str] = set()
    todo = [file]
    while todo:
        current = todo.pop()
        if current not in seen:
            seen.add(current)
            if current.endswith(".py") and not _is_plumbing(current):
                todo += [*imported(current, root), *READ.get(current, ()), *_registered(current, root)]
    return seen


def _registered(file: str, root: Path) -> set[str]:
    folder, _, name = file.rpartition("/")
    return _modules(folder, root) if name == "__init__.py" and folder in REGISTRIES else set()


def _is_plumbing(file: str) -> bool:
    return file.startswith(PLUMBING) and file not in RESULTS


def _modules(folder: str, root: Path) -> set[str]:
    return {str(file.relative_to(root)) for file in (root / folder).rglob("*.py") if _has_code(file)}


def _has_code(file: Path) -> bool:
    """False if the file holds only a docstring, like most ``__init__.py``."""
    body = ast.parse(file.read_text(encoding="utf-8")).body
    return any(not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)) for node in body)


def _files(name: str, root: Path) -> list[str]:
    base = root / name.replace(".", "/")
    found = (base.with_suffix(".py"), base / "__init__.py")
    return [str(file.relative_to(root)) for file in found if file.exists() and _has_code(file)]
