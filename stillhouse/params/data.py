"""The section ``data``."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator

from stillhouse.params.format import Format
from stillhouse.params.section import Fraction, Name, OneOf, Seed
from stillhouse.registry import names_in

SAMPLE_LABELS = 16  # labelled texts of each class of the packaged sample with data.labels_per_class: auto
SOURCES = names_in("stillhouse.data.sources")


# The schema of data.classes: names with their descriptions, or names alone.
CLASSES = {
    "anyOf": [
        {"type": "object", "additionalProperties": {"anyOf": [{"type": "string"}, {"type": "null"}]}},
        {"type": "array", "items": {"type": "string"}},
    ]
}


def _described(classes: Any) -> Any:
    """Return a list of names as names without a description."""
    if isinstance(classes, list) and all(isinstance(name, str) for name in classes):
        if len(set(classes)) < len(classes):
            raise ValueError("data.classes names a class twice")
        return dict.fromkeys(classes)
    return classes


class Data(Format):
    """Where the labelled texts come from, and how they are cleaned and split."""

    source: Annotated[str, OneOf(SOURCES), Field(description="a file in stillhouse/data/sources")]
    path: Name = Field(description="files: a CSV, TSV, JSONL or Parquet file or folder, or a folder of splits")
    hub_id: Name | None = Field(description="hub: the Hugging Face dataset id")
    hub_config: Name | None
    hub_revision: Name | None = Field(description="hub: a commit or tag")
    text_column: Name
    label_column: Name | None = Field(description="null: no text has a label; data.classes names the classes")
    classes: Annotated[dict[Name, str | None], BeforeValidator(_described), WithJsonSchema(CLASSES)] | None = Field(
        description="the classes and, where there are any, their descriptions; null: the classes of the labels"
    )
    unlabelled: Name | None = Field(description="a split without labels, for the teacher to label")
    added_labels: Name | None = Field(
        description="the file of `stillhouse add`: labels that join those of the source; null: none"
    )
    labels_per_class: Annotated[int, Field(ge=0)] | Literal["auto"] | None = Field(
        description="labelled texts of each class; the others lose their label; null: all; "
        "0: none, then a train file needs no labels; "
        f"auto: {SAMPLE_LABELS} of the packaged sample, all of own data",
    )
    labels_seed: Seed | None = Field(description="of that draw; null: the seed of everything")
    unseen_labels: Annotated[
        Literal["keep", "error"], Field(description="if validation or test has labels that train lacks")
    ]
    max_shrink: Annotated[
        Fraction | None,
        Field(description="share of texts by which the data may shrink since the last run; null: no limit"),
    ]
    lost_classes: Annotated[
        Literal["error", "keep"], Field(description="if a label of the last run has no texts any more")
    ]
    empty_texts: Literal["error", "drop"]
    duplicates: Literal["drop", "keep"]
    test_fraction: Fraction
    validation_fraction: Fraction

    @model_validator(mode="after")
    def _consistent(self) -> "Data":
        if self.source == "hub" and not self.hub_id:
            raise ValueError("data.source is hub, so data.hub_id must name a dataset")
        if self.source == "sample" and self.unlabelled:
            raise ValueError(f"data.unlabelled is {self.unlabelled!r}, but the packaged sample has no such split")
        if self.labels_per_class == 1:
            raise ValueError("data.labels_per_class is 1: use 2 or more, or 0 with data.classes")
        if self.classes is not None and len(self.classes) < 2:
            raise ValueError("data.classes has fewer than two classes")
        if self.without_labels and self.classes is None:
            key = "data.label_column is null" if self.label_column is None else "data.labels_per_class is 0"
            raise ValueError(f"{key}, so no training text has a label: data.classes must name the classes")
        if self.unlabelled in ("train", "validation", "test"):
            raise ValueError(f"data.unlabelled is {self.unlabelled!r}, which is the split with labels")
        if self.test_fraction + self.validation_fraction >= 0.9:
            raise ValueError("data.test_fraction + data.validation_fraction must leave at least 10 % to train on")
        return self

    @property
    def place(self) -> str | None:
        """The place of the source's texts: a path, a hub dataset id, or None for the packaged sample."""
        return {"sample": None, "hub": self.hub_id}.get(self.source, self.path)

    @property
    def without_labels(self) -> bool:
        """Whether no text has a label for training; the stage ``label`` then makes the first labels."""
        return self.label_column is None or self.labels_per_class == 0

    @property
    def descriptions(self) -> dict[str, str]:
        """The descriptions of ``classes``, by name. A class without one is left out."""
        return {name: text for name, text in (self.classes or {}).items() if text}

    @property
    def label_limit(self) -> int | None:
        """The number of labelled texts of each class, ``labels_per_class`` with ``auto`` resolved; None: all."""
        if self.label_column is None:
            return 0
        if self.labels_per_class == "auto":
            return SAMPLE_LABELS if self.source == "sample" else None
        return self.labels_per_class
