"""The section ``soft_labels``."""

from typing import Annotated

from pydantic import Field, Tag

from stillhouse.params.section import BY_KIND, Auto, Count, Ratio, Section

AUTO_COPIES = 2  # altered copies of each training text where most texts have a label


class Augment(Section):
    """Texts made from the training texts, for the teacher to label (Tang et al. 2019)."""

    folds: Annotated[
        Annotated[int, Field(ge=0), Tag("number")] | Auto,
        BY_KIND,
        Field(description=f"altered copies of each text; auto: {AUTO_COPIES} where most texts have a label, else 0"),
    ]
    mask: Annotated[Ratio, Field(description="share of words replaced by the mask token")]
    drop: Annotated[Ratio, Field(description="share of words left out")]
    ngram: Annotated[Ratio, Field(description="share of copies cut to one run of words")]
    ngram_words: Annotated[int, Field(ge=1, description="the longest run; the shortest is a quarter of it")]

    @property
    def most_copies(self) -> int:
        """The maximum of copies of a training text for ``folds``."""
        return AUTO_COPIES if self.folds == "auto" else self.folds

    def copies(self, labelled: int, unlabelled: int) -> int:
        """``folds`` for so many texts with and without a label, with ``auto`` resolved."""
        if self.folds == "auto":
            return AUTO_COPIES if labelled > unlabelled else 0
        return self.folds


class SoftLabels(Section):
    """Teacher and second teachers label the transfer set."""

    batch_size: Annotated[
        Annotated[Count, Tag("number")] | Auto,
        BY_KIND,
        Field(description="texts at once; auto: 32, or what is fastest on a GPU"),
    ]
    second_teachers: Annotated[
        int, Field(ge=0, le=8, description="networks like the student that label with the teacher; 0: none")
    ]
    second_weight: Annotated[
        Ratio, Field(description="weight of the second teachers' mean probabilities; the teacher has the rest")
    ]
    augment: Augment
    relation_words: Annotated[
        int, Field(ge=0, description="words of each text whose relations are stored, for losses that compare relations")
    ]
