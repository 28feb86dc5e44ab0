"""Where labelled texts come from: the packaged sample, local files, or a Hugging Face dataset.

Every source becomes the same thing: for each of its splits a memory-mapped ``Dataset`` with the columns
``text`` and ``label`` (strings, null where the source has none) in the source's own row order.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from datasets import ClassLabel, Dataset, disable_progress_bars, load_dataset
from datasets.exceptions import DatasetNotFoundError

from stillhouse.data.files import TEXT, as_strings, check_columns, read_table
from stillhouse.data.layout import SPLITS, split_files
from stillhouse.data.sample import sample_texts
from stillhouse.errors import BadInput, Unavailable
from stillhouse.params import Data

OFFLINE = (
    "Without the hub: point data.path at local files (data.source: files), or fill a cache on a connected "
    "machine and set HF_HOME to it with HF_HUB_OFFLINE=1, or set HF_ENDPOINT to a mirror."
)


@dataclass(frozen=True)
class Source:
    """Texts as they came: splits, where each is from, and the first row's number there.

    ``unlabelled`` has the column ``text`` alone.
    """

    splits: dict[str, Dataset]
    names: dict[str, str]
    first_row: int = 1
    label_order: list[str] | None = None
    unlabelled: Dataset | None = None

    def row(self, split: str, index: int) -> str:
        """A row as the user finds it, for messages: ``reviews.csv row 17``."""
        return f"{self.names[split]} row {index + self.first_row}"


def load_source(data: Data, cache: Path) -> Source:
    """Open the texts that ``data`` names; Arrow files go under ``cache`` and are memory-mapped.

    Raises:
        BadInput: a file, split or column is missing, empty, of an unknown kind or not decodable.
        Unavailable: the hub does not answer.
    """
    disable_progress_bars()
    loaders: dict[str, Callable[[Data, Path], Source]] = {"sample": _sample, "files": _files, "hub": _hub}
    return loaders[data.source](data, cache)


def _sample(data: Data, cache: Path) -> Source:
    texts, labels = sample_texts()
    dataset = Dataset.from_dict({"text": texts, "label": labels})
    return Source({"train": dataset}, {"train": "the packaged sample"})


def _files(data: Data, cache: Path) -> Source:
    files = split_files(Path(data.path), data.unlabelled)
    unlabelled = read_table(files.pop(data.unlabelled), data, cache / "unlabelled", TEXT) if data.unlabelled else None
    kinds = {file.suffix.lower() for file in files.values()}
    splits = {split: read_table(file, data, cache / split) for split, file in files.items()}
    # A spreadsheet or editor counts a CSV's header as row 1.
    first_row = 2 if kinds <= {".csv", ".tsv"} else 1
    return Source(splits, {split: str(file) for split, file in files.items()}, first_row, None, unlabelled)


def _hub(data: Data, cache: Path) -> Source:
    name = f"hub dataset {data.hub_id}"
    try:
        found = load_dataset(data.hub_id, data.hub_config, revision=data.hub_revision)
    except DatasetNotFoundError as error:
        raise BadInput(f"data.hub_id: {error} For a private one, log in (hf auth login) or set HF_TOKEN.") from None
    except (
        ConnectionError,
        OSError,
        TimeoutError,
    ) as error:  # requests, httpx and the hub's errors are OSErrors
        raise Unavailable(f"{name}: the hub cannot be reached ({_short(error)}). {OFFLINE}") from None
    except ValueError as error:  # an unknown configuration, named with those that exist
        raise BadInput(f"data.hub_config: {error}") from None
    except Exception as error:
        if "Connection" in type(error).__name__ or "Offline" in type(error).__name__:
            raise Unavailable(f"{name}: the hub cannot be reached ({_short(error)}). {OFFLINE}") from None
        raise
    if "train" not in found:
        raise BadInput(f"{name} has no train split. It has: {', '.join(found)}.")
    splits = {split: found[split] for split in SPLITS if split in found}
    if data.unlabelled and data.unlabelled not in found:
        raise BadInput(f"data.unlabelled: {name} has no split {data.unlabelled!r}. It has: {', '.join(found)}.")
    for split, dataset in splits.items():
        check_columns(f"{name} {split}", dataset.column_names, data)
    feature = splits["train"].features[data.label_column]
    order = list(feature.names) if isinstance(feature, ClassLabel) else None
    strings = {split: as_strings(dataset, data) for split, dataset in splits.items()}
    # An unlabelled test split (all -1, as in GLUE) cannot be tested on.
    labelled = {split: rows for split, rows in strings.items() if any(rows[:100]["label"])}
    unlabelled = as_strings(found[data.unlabelled], data, TEXT) if data.unlabelled else None
    return Source(labelled, {split: f"{name} {split}" for split in labelled}, 0, order, unlabelled)


def _short(error: Exception) -> str:
    return str(error).splitlines()[0][:160] if str(error) else type(error).__name__
