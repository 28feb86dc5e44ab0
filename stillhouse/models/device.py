"""Selects the device, and detects what it supports."""

import os
import shutil
import sysconfig
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import nn

from stillhouse.errors import BadInput
from stillhouse.models.visible import VARIABLE


def choose_device(wanted: str) -> torch.device:
    """Return the device of the setting ``device``. ``auto`` selects CUDA, else Apple's MPS, else the CPU.

    cuDNN then uses deterministic algorithms alone. Without this, two trainings of a student on one GPU differ.

    Raises:
        BadInput: this machine does not have the device.
    """
    cuda, mps = torch.cuda.is_available(), torch.backends.mps.is_available()
    torch.backends.cudnn.deterministic = True
    if wanted == "auto":
        return torch.device("cuda" if cuda else "mps" if mps else "cpu")
    device = torch.device(wanted)
    available = {"cpu": True, "mps": mps, "cuda": cuda and (device.index or 0) < torch.cuda.device_count()}
    if not available[device.type]:
        shown = f", {VARIABLE}={os.environ[VARIABLE]}" if VARIABLE in os.environ else ""
        raise BadInput(
            f"device: {wanted} is not on this machine (PyTorch {torch.__version__}{shown}). Use auto or cpu."
        )
    return device


def check_processes(device: str, processes: int) -> None:
    """Check that each of several processes can have its own GPU of the type ``device``, or CPU cores.

    Raises:
        BadInput: there are fewer GPUs.
    """
    gpus = {"cuda": torch.cuda.device_count(), "mps": 1}.get(device, processes)
    if processes > gpus:
        raise BadInput(
            f"flow.processes is {processes}, but this machine has {gpus} GPU(s) for them ({device}). Lower "
            "flow.processes, or set device: cpu."
        )


def leave_gpu(model: nn.Module) -> None:
    """Move ``model`` to the CPU, and free the GPU memory that this process does not use."""
    model.to("cpu")
    torch.cuda.empty_cache()  # without a GPU it does nothing


def device_name(device: torch.device) -> str:
    """Return ``cpu``, ``mps``, or ``cuda`` with the name of the GPU."""
    return f"cuda, {torch.cuda.get_device_name(device)}" if device.type == "cuda" else device.type


def use_bf16(wanted: str | bool, device: torch.device) -> bool:
    """Whether to train in bfloat16. ``auto`` selects it on GPUs with native support."""
    if wanted == "auto":
        return device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
    return bool(wanted)


def use_compile(wanted: str | bool, device: torch.device) -> bool:
    """Whether to use ``torch.compile``. ``auto`` selects it on CUDA if :func:`can_compile`."""
    return device.type == "cuda" and can_compile() if wanted == "auto" else bool(wanted)


def can_compile() -> bool:
    """Whether Triton is installed, with the C compiler and Python headers that it needs to build its launchers."""
    compiler = os.environ.get("CC") or shutil.which("gcc") or shutil.which("clang")
    headers = Path(sysconfig.get_paths()["include"]) / "Python.h"
    return bool(find_spec("triton") and compiler and headers.is_file())
