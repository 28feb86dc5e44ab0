"""One GPU for a training, out of those that ``CUDA_VISIBLE_DEVICES`` shows."""

import os

import pytest
import torch

import stillhouse.pipeline.stage as stage_module
from stillhouse.errors import BadInput
from stillhouse.models.device import check_processes
from stillhouse.models.visible import VARIABLE, chosen_gpus, visible_gpus
from stillhouse.pipeline import slots
from stillhouse.pipeline.slots import gpu_slot


@pytest.mark.parametrize(
    ("variable", "entries"),
    [
        (None, None),
        ("", []),
        ("-1", []),
        ("NoDevFiles", []),
        ("2, 5", ["2", "5"]),
        ("3,-1,4", ["3"]),
        ("0,,1", ["0"]),
        ("GPU-8932f937,MIG-GPU-8932f937/1/2", ["GPU-8932f937", "MIG-GPU-8932f937/1/2"]),
    ],
)
def test_the_variable_is_read_as_cuda_reads_it(variable, entries):
    assert visible_gpus(variable) == entries


@pytest.mark.parametrize(
    ("device", "variable", "shown"),
    [
        ("auto", None, "0"),
        ("auto", "3,1", "3"),
        ("auto", "", None),
        ("auto", "-1", None),
        ("cuda", "GPU-aaaa,GPU-bbbb", "GPU-aaaa"),
        ("cuda:1", "GPU-aaaa,GPU-bbbb", "GPU-bbbb"),
        ("cuda:1", "7,5", "5"),
        ("cuda:2", None, "2"),
        ("cpu", "0,1", None),
        ("mps", None, None),
    ],
)
def test_an_index_counts_the_visible_gpus(device, variable, shown, monkeypatch):
    assert chosen_gpus(device, variable) == ([] if shown is None else [shown])
    monkeypatch.delenv(VARIABLE, raising=False)
    if variable is not None:
        monkeypatch.setenv(VARIABLE, variable)
    assert stage_module._choose_visible_device(device) == ("cuda" if device.startswith("cuda") else device)
    assert os.environ.get(VARIABLE) == (variable if shown is None else shown)


@pytest.mark.parametrize(("device", "variable"), [("cuda:2", "4,7"), ("cuda", ""), ("cuda:0", "-1")])
def test_a_gpu_that_is_not_visible_is_refused_with_what_is(device, variable):
    with pytest.raises(BadInput, match=rf"device: {device} is not visible") as raised:
        chosen_gpus(device, variable)
    assert repr(variable) in str(raised.value) and ("2: 4, 7" if variable == "4,7" else "no GPU") in str(raised.value)


def test_a_gpu_has_one_slot_under_all_its_names(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv(VARIABLE, "6,3")
    with gpu_slot(1, print, "cuda:1"):
        assert [file.name for file in (tmp_path / "stillhouse").iterdir()] == ["gpu-3-0.lock"]


@pytest.mark.parametrize(
    ("device", "variable", "shown"),
    [
        ("auto", None, ["0", "1"]),
        ("cuda:1", None, ["1", "2"]),
        ("cuda:1", "7,5,3", ["5", "3"]),
        ("auto", "", []),
        ("cpu", "0,1", []),
    ],
)
def test_each_process_has_a_gpu_of_its_own(device, variable, shown, monkeypatch):
    assert chosen_gpus(device, variable, 2) == shown
    if variable is not None:
        monkeypatch.setenv(VARIABLE, variable)
    else:
        monkeypatch.delenv(VARIABLE, raising=False)
    stage_module._choose_visible_device(device, 2)
    assert os.environ.get(VARIABLE) == (",".join(shown) if shown else variable)


def test_more_processes_than_gpus_are_refused(monkeypatch):
    with pytest.raises(BadInput, match="flow.processes is 2, but CUDA_VISIBLE_DEVICES='4' shows 1 GPUs"):
        chosen_gpus("auto", "4", 2)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(BadInput, match="flow.processes is 2, but this machine has 1 GPU"):
        check_processes("cuda", 2)
    check_processes("cuda", 1)
    check_processes("cpu", 8)


def test_a_training_takes_a_slot_of_all_its_gpus_or_of_none(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv(VARIABLE, "6,3,2")
    with gpu_slot(1, print, "auto", 2), gpu_slot(1, print, "cuda:2"):
        taken = sorted(file.name for file in (tmp_path / "stillhouse").iterdir())
        assert taken == ["gpu-2-0.lock", "gpu-3-0.lock", "gpu-6-0.lock"]
    with gpu_slot(1, print, "cuda:1"):
        assert slots._take_free_slots(1, "auto", 2) is None  # the second of the two is held
        with gpu_slot(1, print, "auto"):  # so the first is still free
            pass
