"""Arrays and tables of a job. An existing file is passed on by its path; other data is written to the job's folder."""

import mmap
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset, load_from_disk


def stored_array(array: np.ndarray | None, file: Path) -> dict[str, Any] | None:
    """Return a description of ``array`` for JSON. ``file`` is written, unless the array is a memory-mapped file."""
    if array is None:
        return None
    if isinstance(array, np.memmap) and isinstance(array.base, mmap.mmap) and array.flags.c_contiguous:
        described = {"offset": array.offset, "dtype": array.dtype.str, "shape": array.shape}
        return {"file": str(Path(str(array.filename)).resolve()), **described}
    np.save(file, array)
    return {"file": str(file.resolve())}


def open_array(described: dict[str, Any] | None) -> np.ndarray | None:
    """Return the array of :func:`stored_array`, memory-mapped."""
    if described is None:
        return None
    if "offset" in described:
        kind, shape = np.dtype(described["dtype"]), tuple(described["shape"])
        return np.memmap(described["file"], kind, "r", described["offset"], shape)
    array: np.ndarray = np.load(described["file"], mmap_mode="r")
    return array


def stored_dataset(dataset: Dataset, folder: Path) -> str:
    """Return the path of the file with all of ``dataset``; if there is none, ``folder`` is written."""
    files = dataset.cache_files
    if len(files) == 1 and dataset._indices is None and len(Dataset.from_file(files[0]["filename"])) == len(dataset):
        return str(Path(files[0]["filename"]).resolve())
    dataset.save_to_disk(str(folder))
    return str(folder.resolve())


def open_dataset(path: str) -> Dataset:
    """Return the table of :func:`stored_dataset`."""
    return load_from_disk(path) if Path(path).is_dir() else Dataset.from_file(path)
