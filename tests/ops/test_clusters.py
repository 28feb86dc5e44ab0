"""Work on a cluster: trials of a study, on Dask and then on Ray; ``score`` over a folder and soft labels, on Ray."""

import re
import threading
import time
from contextlib import suppress

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from datasets import Dataset
from material import texts_and_labels, tiny_model, tiny_teacher
from project import ROOT

from flows.shared.blocks import LEDGER, Work
from flows.shared.cluster import run_ray
from flows.shared.folders import claim, find_blocks, open_folder, run_local
from flows.shared.labeller import Labeller
from stillhouse.cluster import Cluster
from stillhouse.data.readers import Wanted
from stillhouse.distillation.softlabels import write_soft_labels
from stillhouse.errors import BadInput
from stillhouse.models.pretrained import load_pretrained
from stillhouse.models.teacher import load_teacher
from stillhouse.params import Format, load_params
from stillhouse.serving import Classifier

WANTED = Wanted({"text_column": "text"}, Format(**dict.fromkeys(Format.model_fields, "auto")), "--")
BLOCKS, ROWS = 8, 6000


@pytest.fixture(scope="module")
def cluster():
    """The address of a Ray cluster of two cores."""
    utils = pytest.importorskip("ray.cluster_utils")
    found = utils.Cluster(initialize_head=True, head_node_args={"num_cpus": 2, "num_gpus": 0})
    yield found.address
    found.shutdown()


@pytest.mark.timeout(900)
def test_trials_run_on_dask_and_ray_and_go_on(cluster, project):
    """Here, although a cluster runs on this machine."""
    search = {"student.network.architecture": ["resnet", "vgg"], "student.alpha": {"low": 0.5, "high": 1.0}}
    project.set(study__search=search)
    for count, runner, new in ((2, "dask", [0, 1]), (3, "ray", [2])):
        project.set(study__trials=count, study__runner=runner)
        done = project.python("-m", "flows.study")
        assert done.returncode == 0, done.stdout
        scored = re.findall(r"trial (\d+): score [01]\.\d+ with", done.stdout)
        assert sorted(map(int, scored)) == new, done.stdout  # those before are not run again
        assert len(re.findall(r"^\d+ +[01]\.\d+ ", done.stdout, re.MULTILINE)) == count


def work_to(source, target, model):
    work = Work(open_folder(str(source)), open_folder(str(target)), Labeller(model, "text"), {"model": "a"}, 2000)
    claim(work.target)
    return work, find_blocks(work.source, work.target, WANTED)


def written(folder):
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def ray_workers(title: str = "ray::Worker") -> list[psutil.Process]:
    mine = psutil.Process().children(recursive=True)
    return [one for one in mine if one.cmdline()[:1] and one.cmdline()[0].startswith(title)]


@pytest.mark.timeout(300)
def test_a_damaged_file_and_a_cluster_that_is_not_there_end_the_run_with_a_message(cluster, tmp_path):
    (tmp_path / "in").mkdir()
    pq.write_table(pa.table({"text": ["a"] * 1000}), tmp_path / "in" / "a.parquet")
    work = work_to(tmp_path / "in", tmp_path / "out", Classifier.load(tiny_model(tmp_path / "model"), threads=1))
    whole = (tmp_path / "in" / "a.parquet").read_bytes()
    (tmp_path / "in" / "a.parquet").write_bytes(bytes(len(whole)))
    with pytest.raises(BadInput, match="in/a.parquet could not be labelled"):
        list(run_ray(*work, cluster))
    with pytest.raises(BadInput, match="No Ray cluster answers at 127.0.0.1:1"):
        list(run_ray(*work, "127.0.0.1:1"))


@pytest.fixture
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def kill_one(title: str, killed: list[int]) -> None:
    """Kill the first process with ``title``."""
    deadline = time.monotonic() + 300
    while not killed and time.monotonic() < deadline:
        with suppress(psutil.Error, IndexError):  # a process ended, or there is none yet
            process = ray_workers(title)[0]
            process.kill()
            killed.append(process.pid)
        time.sleep(0.05)


def soft_labels(source, datasets, folder, place):
    folder.mkdir()
    teacher = load_teacher(source, 16, torch.device("cpu"))
    write_soft_labels(teacher, datasets, 16, False, 4, folder, source=source, cluster=place)
    return [np.load(file) for file in sorted(folder.glob("*.npy"))]


@pytest.mark.timeout(600)
@pytest.mark.usefixtures("one_thread")
def test_soft_labels_on_ray_are_those_of_this_process_though_a_worker_is_killed(cluster, tmp_path):
    settings = {"model": str(tiny_teacher(tmp_path / "tiny")), "max_length": 16, "freeze_layers": 0}
    load_pretrained(load_params(ROOT / "params.yaml").teacher.model_copy(update=settings), ["a", "b", "c"]).save(
        source := tmp_path / "teacher"
    )
    texts = [text for text, _ in texts_and_labels(8 * 1000)]
    datasets = [Dataset.from_dict({"text": texts[start : start + 1000]}) for start in range(0, 8000, 1000)]
    here = soft_labels(source, datasets, tmp_path / "here", None)
    killed = []
    # It has this title while it labels a chunk.
    thread = threading.Thread(target=kill_one, args=("ray::LabelWorker.label", killed), daemon=True)
    thread.start()
    there = soft_labels(source, datasets, tmp_path / "there", Cluster(cluster, gpus=True))  # but it has no GPU
    thread.join()
    assert len(killed) == 1
    assert [array.shape for array in here] == [(8000, 32), (8000, 3), (8000, 3, 4, 32)]
    for one, other in zip(here, there, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.timeout(600)
def test_score_on_ray_writes_what_it_writes_here_though_a_worker_is_killed(cluster, tmp_path):
    texts = [text for text, _ in texts_and_labels(ROWS)]
    for number in range(BLOCKS):
        (tmp_path / "in" / f"day={number % 2}").mkdir(parents=True, exist_ok=True)
        table = pa.table({"text": texts[number:] + texts[:number], "id": range(ROWS)})
        pq.write_table(table, tmp_path / "in" / f"day={number % 2}" / f"{number}.parquet")
    model = Classifier.load(tiny_model(tmp_path / "model"), threads=1)
    assert len(list(run_local(*work_to(tmp_path / "in", tmp_path / "here", model)))) == BLOCKS
    killed, notes = None, []
    for note in run_ray(*work_to(tmp_path / "in", tmp_path / "there", model), cluster):
        notes.append(note)
        if killed is None:  # both workers have their next block by now, unless the machine is busy
            workers, deadline = ray_workers(), time.monotonic() + 60
            while len(workers) < 2 and time.monotonic() < deadline:
                time.sleep(0.2)
                workers = ray_workers()
            assert len(workers) == 2
            killed = workers[0].pid
            workers[0].kill()
    assert len(notes) == BLOCKS and not any(note["resumed"] for note in notes)
    assert written(tmp_path / "there") == written(tmp_path / "here")  # with the ledger, and nothing else
    (tmp_path / "there" / "day=1" / "3.parquet").unlink()
    (tmp_path / "there" / LEDGER / "day=0" / "0.parquet.json").unlink()
    # On a cluster of its own, in the last test: afterwards Ray 2.60 starts no actor on another cluster in this process.
    again = run_ray(*work_to(tmp_path / "in", tmp_path / "there", model), None)
    assert {note["name"] for note in again if not note["resumed"]} == {"day=1/3.parquet", "day=0/0.parquet"}
    assert written(tmp_path / "there") == written(tmp_path / "here")
