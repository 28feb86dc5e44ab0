"""The source ``sample``: the packaged BBC News articles."""

from pathlib import Path

from datasets import Dataset

from stillhouse.data.sample import sample_texts
from stillhouse.data.source import Source
from stillhouse.params import Data
from stillhouse.registry import register


@register
def sample(data: Data, cache: Path) -> Source:
    """Return the articles as one split, in memory.

    Raises:
        BadInput: the package is not installed, or damaged.
    """
    texts, labels = sample_texts()
    columns = {"text": texts} | ({"label": labels} if data.label_column else {})
    dataset = Dataset.from_dict(columns)
    return Source({"train": dataset}, {"train": "the packaged sample"})
