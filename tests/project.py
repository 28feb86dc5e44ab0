"""A project of a user's own, with a tiny teacher and a few hundred rows, that really runs."""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from material import texts_and_labels, tiny_teacher, write_csv
from ruamel.yaml import YAML

ROOT = Path(__file__).parent.parent


@dataclass
class Project:
    """A clone of this repository in a folder of its own; its flows run on ``server``, or on one they start."""

    folder: Path
    server: str | None = None

    @property
    def environment(self) -> dict[str, str]:
        kept = {
            key: value
            for key, value in os.environ.items()
            if not key.startswith(("PREFECT_API", "PREFECT_HOME", "MLFLOW_TRACKING"))
            and key != "PYTHONDONTWRITEBYTECODE"  # each of a flow's processes would compile the project's code again
        }
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        server = {"PREFECT_API_URL": self.server} if self.server else {}
        mine = {"PATH": path, "PYTHONPATH": str(self.folder), "XDG_CACHE_HOME": str(self.folder.parent / "cache")}
        return {**kept, **server, **mine}

    def run(self, *command: str, timeout: float = 600, **environment: str) -> subprocess.CompletedProcess[str]:
        """A command in the project; its output and errors come back as one text in ``stdout``."""
        return subprocess.run(
            command,
            cwd=self.folder,
            env={**self.environment, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=timeout,
        )

    def python(self, *arguments: str, **options) -> subprocess.CompletedProcess[str]:
        return self.run(sys.executable, *arguments, **options)

    def dvc(self, *arguments: str, **options) -> subprocess.CompletedProcess[str]:
        return self.python("-m", "dvc", *arguments, **options)

    def flow(self, **options) -> subprocess.CompletedProcess[str]:
        return self.python("-m", "flows.distillation", **options)

    def mlflow(self, code: str) -> str:
        """Run ``code`` with ``json``, ``os``, ``sys``, ``mlflow``, a ``client`` of it and the id of the ``experiment``.

        Returns:
            The last line that it prints.
        """
        head = "import json, os, sys; import mlflow; from mlflow.tracking import MlflowClient\n"
        head += f"mlflow.set_tracking_uri('sqlite:///{self.folder}/mlflow.db'); client = MlflowClient()\n"
        head += "experiment = getattr(client.get_experiment_by_name('stillhouse'), 'experiment_id', None)\n"
        done = self.python("-c", head + code)
        assert done.returncode == 0, done.stdout
        return done.stdout.strip().splitlines()[-1] if done.stdout.strip() else ""

    def set(self, **values) -> None:
        """Change parameters, named with ``__`` for the dots; a stage that starts meanwhile reads all or none of it."""
        file = self.folder / "params.yaml"
        yaml = YAML()
        params = yaml.load(file)
        for key, value in values.items():
            *parents, last = key.split("__")
            section = params
            for parent in parents:
                section = section[parent]
            section[last] = value
        partial = file.with_suffix(".partial")
        yaml.dump(params, partial)
        partial.replace(file)

    def copy(self, folder: Path) -> "Project":
        """The same project in the same state elsewhere."""
        shutil.copytree(self.folder, folder, symlinks=True)
        return Project(folder, self.server)


def new_project(folder: Path) -> Project:
    """What a user has after cloning and naming a CSV and a teacher in ``params.yaml``; nothing was run yet."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    for name in listed:
        if not name.startswith(("tests/", "benchmarks/")) and name != "dvc.lock" and (ROOT / name).exists():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name, follow_symlinks=False)
    project = Project(folder)
    write_csv(folder / "data" / "reviews.csv", texts_and_labels(360))
    tiny_teacher(folder / "data" / "teacher")
    (folder / "cases.csv").write_text(
        "text,label,same_as\nthe team and the coach win a cup,sport,\nTHE TEAM WIN THE CUP,,the team win the cup\n"
    )
    project.set(
        data__source="files",
        data__path="data/reviews.csv",
        data__text_column="review",
        data__label_column="topic",
        data__labels_per_class=None,
        teacher__model="data/teacher",
        teacher__max_length=32,
        teacher__epochs=8,
        teacher__freeze_layers=0,
        teacher__finetune=True,  # so that there is a training to stop
        teacher__learning_rate=0.003,
        student__size="custom",
        teacher__cotraining=0,  # a fine-tuned teacher has no use for it
        soft_labels__second_teachers=0,  # so that the plain arm of a comparison is this very project
        compress__early_exit=None,
        compress__parity=0.9,  # of 39 texts two may be others
        student__vocabulary={"pieces": 300, "min_frequency": 1, "lowercase": True},
        student__network__max_length=32,
        student__network__wide={"embedding": 8, "buckets": 512, "max_length": 32, "dropout": 0.3},
        student__network__embedding=16,
        student__network__width=16,
        student__network__depth=2,
        student__start="random",  # a stage without transformers starts seconds sooner
        student__temperature=2.0,
        student__training__epochs=15,
        student__training__min_updates=0,
        student__training__learning_rate=0.01,
        evaluate__bootstrap=200,
        register__name="topics",
        register__min_retention=0.5,
        flow__retry_delay_s=0.1,
        flow__gpu_slots=8,  # tests run side by side
    )
    for command in (
        ["init", "-q"],
        ["add", "-A"],
        ["-c", "user.name=t", "-c", "user.email=t@t", "commit", "-qm", "start"],
    ):
        subprocess.run(["git", *command], cwd=folder, check=True)
    return project
