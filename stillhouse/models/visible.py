"""Selects the GPUs of one training if ``CUDA_VISIBLE_DEVICES`` may already hide some GPUs of the machine."""

from stillhouse.errors import BadInput

VARIABLE = "CUDA_VISIBLE_DEVICES"


def visible_gpus(variable: str | None) -> list[str] | None:
    """Return the entries of ``CUDA_VISIBLE_DEVICES`` that CUDA reads: indices, or UUIDs of GPUs or MIG instances.

    CUDA ignores the first invalid entry and every entry after it; ``""`` and ``"-1"`` show no GPU (CUDA C++
    Programming Guide, "CUDA Environment Variables"). None if the variable is not set: all GPUs are visible.
    """
    if variable is None:
        return None
    found: list[str] = []
    for entry in (part.strip() for part in variable.split(",")):
        if not (entry.isdecimal() or entry.startswith(("GPU-", "MIG-"))):
            break
        found.append(entry)
    return found


def chosen_gpus(device: str, variable: str | None, count: int = 1) -> list[str]:
    """Return the entries of ``CUDA_VISIBLE_DEVICES`` for the GPUs from the one that ``device`` names on; [] for no GPU.

    ``cuda:1`` is the second of the visible GPUs; ``auto`` and ``cuda`` are the first.

    Args:
        device: as ``device`` in params.yaml.
        variable: the value of ``CUDA_VISIBLE_DEVICES``; None if it is not set.
        count: number of GPUs.

    Raises:
        BadInput: ``device`` names a GPU that is not visible, or fewer than ``count`` are.
    """
    if device != "auto" and not device.startswith("cuda"):
        return []
    index, visible = int(device.partition(":")[2] or 0), visible_gpus(variable)
    if visible is None:
        return [str(index + number) for number in range(count)]
    if index + count <= len(visible):
        return visible[index : index + count]
    if device == "auto" and not visible:
        return []
    if index < len(visible):
        raise BadInput(
            f"flow.processes is {count}, but {VARIABLE}={variable!r} shows {len(visible) - index} GPUs from device: "
            f"{device} on. Lower flow.processes in params.yaml, or change {VARIABLE}."
        )
    shown = f"{len(visible)}: {', '.join(visible)}" if visible else "no GPU"
    hint = "cuda:0 is the first of them" if visible else "use auto or cpu"
    raise BadInput(
        f"device: {device} is not visible. {VARIABLE}={variable!r} shows {shown}; {hint}. "
        f"Change device in params.yaml, or {VARIABLE}."
    )
