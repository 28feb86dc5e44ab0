"""The frame of every stage: load parameters, open a tracked run, publish the outputs when all of them are complete.

``dvc.yaml`` calls ``python -m tasks.<stage>``. It ends with status 0, or it prints one message and ends with status 1.
"""

import ctypes
import json
import logging
import os
import shutil
import signal
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from pathlib import Path
from typing import Any

from stillhouse.distillation.scratch import clear_finished
from stillhouse.errors import BadInput, StillhouseError, Unavailable, permission_problem
from stillhouse.files import write_json
from stillhouse.models.visible import VARIABLE, chosen_gpus
from stillhouse.params import ALWAYS, Params, declared, load_params
from stillhouse.params.files import read_yaml
from stillhouse.pipeline.children import STOPS
from stillhouse.pipeline.context import Context
from stillhouse.pipeline.inputs import check_inputs
from stillhouse.pipeline.leftovers import end_with_guard
from stillhouse.pipeline.links import link_inputs
from stillhouse.pipeline.lock import HOLDER, refuse_beside_a_flow, stage_note
from stillhouse.pipeline.log import configure
from stillhouse.pipeline.outputs import restore_outputs
from stillhouse.pipeline.slots import gpu_slot
from stillhouse.pipeline.stages import STAGES, Stage
from stillhouse.project import OUTPUTS, STATE
from stillhouse.provenance import folder_md5
from stillhouse.secrets import masked
from stillhouse.tracking.runs import DEVICE_TAG, OUTPUT_TAG, Run, last_devices, stage_run

logger = logging.getLogger(__name__)

Metrics = dict[str, Any]
_signals: list[int] = []  # received signals that stop this process


def command(name: str, function: Callable[[Context], Metrics], instance: str = "") -> None:
    """Run ``function`` as the command of a stage. Exits with status 1 after an error.

    Args:
        name: the name of the stage.
        function: writes the outputs into ``context.out`` and returns the metrics.
        instance: the device, for a stage that runs once for each device.
    """
    stage = STAGES[name].of(instance)
    note = stage_note(stage.address)
    with suppress(OSError):
        STATE.mkdir(exist_ok=True)
        note.unlink(missing_ok=True)
    for number in STOPS:
        signal.signal(number, _exit_on_signal)  # SystemExit closes the MLflow run and the files
    configure()
    end_with_guard()
    _retain_freed_memory()
    try:
        refuse_beside_a_flow()
        clear_finished(keep=stage.address)
        run(stage, function)
        note.write_text(json.dumps({"outcome": "ran"}), encoding="utf-8")
        return
    except StillhouseError as error:
        message, retriable = str(error), isinstance(error, Unavailable)
        logger.error("%s failed: %s", stage.address, message)
    except Exception as error:
        explained, retriable = permission_problem(error), False
        message = explained or f"{type(error).__name__}: {error}"
        if explained:
            logger.error("%s failed: %s", stage.address, explained)
        else:
            logger.exception("%s failed", stage.address)
    with suppress(OSError):
        note.write_text(json.dumps({"message": masked(message), "again": retriable}), encoding="utf-8")
    _restore(stage)
    sys.exit(1)


def run(stage: Stage, function: Callable[[Context], Metrics]) -> None:
    """Run ``function`` in a tracked run, and publish its files as the outputs of ``stage`` when they are complete."""
    params = load_params()
    link_inputs(params)
    check_inputs(stage)
    device = _choose_visible_device(params.device, params.flow.processes if stage.trains else 1)
    partial = OUTPUTS / f".{stage.address}.partial"
    _empty(partial)
    experiment = params.tracking.experiment
    with _slot(stage, params), stage_run(experiment, stage.address, not stage.registers) as tracked:
        tracked.params(_tracked_params(stage))
        if stage.trains:
            _record_device(tracked, stage, params, device)

        def of_size(size: str) -> Params:
            return _params_of(stage, params.for_size(size))

        context = Context(_params_of(stage, params), device, partial, tracked, stage, of_size)
        metrics = _call(function, context)
        write_json(partial / "metrics.json", metrics)
        tracked.metrics({"final": metrics})
        tracked.tags({OUTPUT_TAG: folder_md5(partial)})
        _publish(partial, stage.folder)


def _params_of(stage: Stage, params: Params) -> Params:
    if stage.instance:
        own = {stage.instance: params.devices[stage.instance]}
        params = params.for_device(stage.instance).model_copy(update={"devices": own})
    return declared(params, [*stage.keys, *ALWAYS])


def _call(function: Callable[[Context], Metrics], context: Context) -> Metrics:
    try:
        return function(context)
    except Exception:
        if _signals:  # a library turned the SystemExit of the signal into its own error, as PyTorch does in torch.save
            sys.exit(128 + _signals[0])
        raise


def _record_device(tracked: Run, stage: Stage, params: Params, device: str) -> None:
    """Tag the run with its device. Warn if the last run had a GPU and this one has none: a driver may have failed."""
    from stillhouse.models.device import choose_device, device_name  # imports PyTorch, which not every stage needs

    name = device_name(choose_device(device))
    before = last_devices(params.tracking.experiment).get(stage.address)
    tracked.tags({DEVICE_TAG: name})
    if before and before.startswith("cuda") and not name.startswith("cuda"):
        logger.warning("%s trains on %s; the last time it was %s. Is the GPU still there?", stage.address, name, before)


def _slot(stage: Stage, params: Params) -> AbstractContextManager[None]:
    """A slot for training, unless a flow has taken one for this stage already."""
    if not stage.trains or os.environ.get(HOLDER):
        return nullcontext()
    return gpu_slot(params.flow.gpu_slots, logger.info, params.device, params.flow.processes)


def _tracked_params(stage: Stage) -> dict[str, Any]:
    """Return the keys that the stage declares, with their values."""
    values = read_yaml(Path("params.yaml"))
    return {key: _pick(values, key) for key in stage.keys}


def _restore(stage: Stage) -> None:
    """Restore the last good outputs from DVC's cache: DVC removed them before it started this command."""
    shutil.rmtree(OUTPUTS / f".{stage.address}.partial", ignore_errors=True)
    if not os.environ.get(HOLDER):  # otherwise the flow restores them
        restore_outputs(stage.address, logger.warning)


def _retain_freed_memory() -> None:
    """Let glibc retain memory that PyTorch frees: the next step allocates it again, and a new mapping costs 4 %."""
    with suppress(AttributeError, OSError):  # a C library other than glibc
        mallopt = ctypes.CDLL(None).mallopt
        trim_threshold, mmap_threshold = -1, -3  # M_TRIM_THRESHOLD and M_MMAP_THRESHOLD of malloc.h
        mallopt(mmap_threshold, 1 << 30)
        mallopt(trim_threshold, (1 << 31) - 1)


def _choose_visible_device(device: str, processes: int = 1) -> str:
    """Make a GPU for each process visible: transformers' Trainer uses every visible one. Returns the device to use."""
    if gpus := chosen_gpus(device, os.environ.get(VARIABLE), processes):
        os.environ[VARIABLE] = ",".join(gpus)
    return "cuda" if device.startswith("cuda") else device


def _empty(folder: Path) -> None:
    try:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
    except OSError as error:
        raise BadInput(
            f"the output folder {folder.parent.resolve()} is not writable ({error.strerror}). Make it a folder that "
            "you may write to."
        ) from None


def _publish(partial: Path, final: Path) -> None:
    """Move each complete file or folder into place. An old one is removed only then."""
    final.mkdir(parents=True, exist_ok=True)
    for entry in sorted(partial.iterdir()):
        _move(entry, final / entry.name)
    partial.rmdir()


def _move(entry: Path, target: Path) -> None:
    shutil.rmtree(target) if target.is_dir() else target.unlink(missing_ok=True)
    entry.replace(target)


def _pick(values: Any, key: str) -> Any:
    for part in key.split("."):
        values = values[part]
    return values


def _exit_on_signal(signal_number: int, frame: Any) -> None:
    _signals.append(signal_number)
    for number in STOPS:
        signal.signal(number, lambda *_: None)  # ignore further signals
    sys.exit(128 + signal_number)
