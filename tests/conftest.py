"""Shared: a project of a user's own, with a tiny teacher and a few hundred rows, that really runs."""

import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from filelock import FileLock
from ruamel.yaml import YAML
from servers import prefect_server

ROOT = Path(__file__).parent.parent
WORDS = {
    "sport": ["match", "goal", "team", "player", "coach", "league", "cup", "season", "win", "score"],
    "cooking": ["oven", "butter", "flour", "recipe", "sugar", "boil", "pan", "knife", "taste", "salt"],
    "weather": ["rain", "wind", "cloud", "storm", "sun", "snow", "forecast", "heat", "frost", "fog"],
}
FILLER = [
    "the",
    "a",
    "of",
    "and",
    "to",
    "in",
    "it",
    "was",
    "on",
    "for",
    "with",
    "that",
    "this",
    "day",
    "people",
    "time",
    "new",
    "very",
    "some",
    "more",
]


def pytest_configure():
    os.environ.update(
        PREFECT_SERVER_ANALYTICS_ENABLED="false",
        MLFLOW_DISABLE_TELEMETRY="true",
        HF_HUB_OFFLINE="1",
        DVC_NO_ANALYTICS="1",
    )
    if "PYTEST_XDIST_WORKER" in os.environ:  # two processes of two threads each on two cores wait for each other
        os.environ["OMP_NUM_THREADS"] = "1"
        if os.environ["PYTEST_XDIST_WORKER"] != "gw0":  # the others wait for the project that the first one makes
            os.nice(5)


def pytest_collection_modifyitems(items):
    """The first process makes the finished project at once; the others have what needs none until it is there.

    Of what needs it the longest comes first, so that no process ends alone.
    """
    longest = ["test_year", "test_stopping", "test_crashes", "test_comparison", "test_study", "test_fleet"]
    longest += ["test_end_to_end", "test_notify", "test_server", "test_damage", "test_secrets", "test_drift"]
    rank = {name: place for place, name in enumerate(longest)}
    items.sort(key=lambda item: rank.get(item.module.__name__.rpartition(".")[2], len(rank)))
    if any(item.path.parent.name == "ops" for item in items):  # few and long: dealt out like cards, a stretch to each
        workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
        stretches = sorted((items[first::workers] for first in range(workers)), key=len)  # as they are given away
        items[:] = [item for stretch in stretches for item in stretch]
    else:
        items.sort(key=lambda item: "finished" not in item.fixturenames)


def texts_and_labels(rows: int, seed: int = 0) -> list[tuple[str, str]]:
    """Short texts that can be told apart by their words, with some noise."""
    chance = random.Random(seed)
    made = []
    for index in range(rows):
        label = list(WORDS)[index % len(WORDS)]
        words = chance.choices(WORDS[label], k=3) + chance.choices(FILLER, k=7)
        chance.shuffle(words)
        made.append((" ".join(words) + f" {index}", label))
    return made


def write_csv(path: Path, rows: list[tuple[str, str]], header: str = "review,topic") -> Path:
    path.write_text(header + "\n" + "".join(f"{text},{label}\n" for text, label in rows), encoding="utf-8")
    return path


def tiny_teacher(folder: Path, layers: int = 2) -> Path:
    """A BERT of a few thousand weights with a word-piece vocabulary of its own, as a local directory."""
    import torch
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import BertConfig, BertForSequenceClassification, BertTokenizerFast

    words = [
        "[PAD]",
        "[UNK]",
        "[CLS]",
        "[SEP]",
        "[MASK]",
        *FILLER,
        *(word for words in WORDS.values() for word in words),
    ]
    tokenizer = Tokenizer(models.WordPiece({word: index for index, word in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    BertTokenizerFast(tokenizer_object=tokenizer).save_pretrained(folder)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(words),
        hidden_size=32,
        num_hidden_layers=layers,
        num_attention_heads=2,
        intermediate_size=128,
        max_position_embeddings=64,
    )
    BertForSequenceClassification(config).save_pretrained(folder)
    return folder


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
        }
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        server = {"PREFECT_API_URL": self.server} if self.server else {}
        mine = {"PATH": path, "PYTHONPATH": str(self.folder), "XDG_CACHE_HOME": str(self.folder.parent / "cache")}
        return {**kept, **server, **mine}

    def run(self, *command: str, timeout: float = 300, **environment: str) -> subprocess.CompletedProcess[str]:
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
            shutil.copy2(ROOT / name, folder / name)
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
        student__vocabulary={"size": 300, "min_frequency": 1, "lowercase": True},
        student__network__max_length=32,
        student__network__wide={"size": 8, "buckets": 512, "max_length": 32, "dropout": 0.3},
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


def pytest_sessionfinish(session):
    """The shared server goes with the process that leads the others."""
    factory = getattr(session.config, "_tmp_path_factory", None)
    if "PYTEST_XDIST_WORKER" not in os.environ and factory:
        pid = factory.getbasetemp() / "server.pid"
        if pid.exists():
            with contextlib.suppress(ProcessLookupError):  # it never came up
                os.killpg(int(pid.read_text()), signal.SIGKILL)


@pytest.fixture(scope="session")
def finished(tmp_path_factory) -> Project:
    """A project whose flow ran once, whole. Tests that change it work on a copy; all workers share it.

    ``STILLHOUSE_FINISHED`` names a folder in which it is kept for the next suite on the same code.
    """
    base = tmp_path_factory.getbasetemp()
    base = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    shared = Project(Path(os.environ.get("STILLHOUSE_FINISHED") or base) / "finished")
    log, url = shared.folder / "first-run.log", base / "server.url"
    with FileLock(f"{shared.folder}.lock"):
        if not url.exists():
            server = prefect_server(base).begin()  # that all processes share: each flow would start one of its own
            (base / "server.pid").write_text(str(server.process.pid))
            if not log.exists():
                done = new_project(shared.folder).flow()  # with the server that a flow starts for itself
                assert done.returncode == 0, done.stdout
                log.write_text(done.stdout)
            server.wait()
            url.write_text(server.url.removesuffix("/health"))
    shared.server = url.read_text()
    return shared


@pytest.fixture
def project(finished, tmp_path) -> Project:
    """A finished project to change."""
    return finished.copy(tmp_path / "project")
