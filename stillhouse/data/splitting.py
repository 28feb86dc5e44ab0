"""Splitting off, stratified by label, what a source lacks of train, validation and test."""

import numpy as np
from sklearn.model_selection import train_test_split

from stillhouse.data.splits import Split
from stillhouse.errors import BadInput
from stillhouse.params import Data


def complete(splits: dict[str, Split], data: Data, seed: int) -> dict[str, Split]:
    """Split off, stratified by label, the validation and test sets that the source does not bring.

    Raises:
        BadInput: there are too few rows for a stratified split of the asked size.
    """
    splits = dict(splits)
    total = len(splits["train"].rows)
    for name, fraction in (("test", data.test_fraction), ("validation", data.validation_fraction)):
        if name in splits:
            continue
        train = splits["train"]
        classes = len(np.unique(train.labels))
        # At least one row a class, or stratifying is impossible.
        size = max(round(fraction * total), classes)
        try:
            rest, part = train_test_split(
                np.arange(len(train.rows)), test_size=size, stratify=train.labels, random_state=seed
            )
        except ValueError as error:
            raise BadInput(
                f"{len(train.rows)} rows in {classes} classes are too few to split off {size} for {name} "
                f"(data.{name}_fraction: {fraction}): {error}"
            ) from None
        splits[name] = _subset(train, part)
        splits["train"] = _subset(train, rest)
    return splits


def _subset(split: Split, positions: np.ndarray) -> Split:
    positions = np.sort(positions)  # the source's order, so that the same rows give the same file
    return Split(split.dataset, split.rows[positions], split.labels[positions])
