"""Which device trains, and what it can do."""

import os
import shutil
import sysconfig
from importlib.util import find_spec
from pathlib import Path

import torch

from stillhouse.errors import BadInput
from stillhouse.models.visible import VARIABLE


def choose_device(wanted: str) -> torch.device:
    """``auto`` takes CUDA, then Apple's MPS, then the CPU; anything else is taken at its word.

    Raises:
        BadInput: the asked device is not on this machine.
    """
    cuda, mps = torch.cuda.is_available(), torch.backends.mps.is_available()
    if wanted == "auto":
        return torch.device("cuda" if cuda else "mps" if mps else "cpu")
    device = torch.device(wanted)
    here = {"cpu": True, "mps": mps, "cuda": cuda and (device.index or 0) < torch.cuda.device_count()}
    if not here[device.type]:
        shown = f", {VARIABLE}={os.environ[VARIABLE]}" if VARIABLE in os.environ else ""
        raise BadInput(
            f"device: {wanted} is not on this machine (PyTorch {torch.__version__}{shown}). Use auto or cpu."
        )
    return device


def device_name(device: torch.device) -> str:
    """What people call it: ``cpu``, ``mps``, or ``cuda`` with the name of the GPU."""
    return f"cuda, {torch.cuda.get_device_name(device)}" if device.type == "cuda" else device.type


def use_bf16(wanted: str | bool, device: torch.device) -> bool:
    """Whether to train in bfloat16: ``auto`` says yes on GPUs that compute in it natively."""
    if wanted == "auto":
        return device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
    return bool(wanted)


def use_compile(wanted: str | bool, device: torch.device) -> bool:
    """Whether to ``torch.compile``: ``auto`` says yes on CUDA, where Triton finds what it needs."""
    return device.type == "cuda" and can_compile() if wanted == "auto" else bool(wanted)


def can_compile() -> bool:
    """Whether Triton is here, and the C compiler and Python's headers that it builds its launchers with."""
    compiler = os.environ.get("CC") or shutil.which("gcc") or shutil.which("clang")
    headers = Path(sysconfig.get_paths()["include"]) / "Python.h"
    return bool(find_spec("triton") and compiler and headers.is_file())
