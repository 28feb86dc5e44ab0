"""The sections of ``params.yaml`` about data, results and runs."""

from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints, model_validator

from stillhouse.params.format import Format
from stillhouse.params.section import Count, Fraction, Name, NotNegative, Positive, Ratio, Section, Seed
from stillhouse.pipeline.stages import STAGES

SAMPLE_LABELS = 16  # labelled texts of each class that data.labels_per_class: auto keeps of the packaged sample


class Data(Format):
    """Where the labelled texts come from, and how they are cleaned and split."""

    source: Literal["sample", "files", "hub"] = Field(description="sample, files or hub")
    path: Name = Field(description="files: a CSV, TSV, JSONL or Parquet file or folder, or a folder of splits")
    hub_id: Name | None = Field(None, description="hub: the Hugging Face dataset id")
    hub_config: Name | None = None
    hub_revision: Name | None = Field(None, description="hub: a commit or tag")
    text_column: Name
    label_column: Name
    unlabelled: Name | None = Field(None, description="a further split without labels, for the teacher to label")
    labels_per_class: Annotated[int, Field(ge=2)] | Literal["auto"] | None = Field(
        "auto",
        description="labelled texts kept of each class, the others join the unlabelled; null: all; "
        f"auto: {SAMPLE_LABELS} of the packaged sample, all of own data",
    )
    labels_seed: Seed | None = Field(None, description="of that draw; null: the seed of everything")
    unseen_labels: Annotated[
        Literal["keep", "error"], Field(description="labels of validation or test that train lacks")
    ] = "keep"
    max_shrink: Annotated[
        Fraction | None, Field(description="share of texts that may be missing against the last time; null: any")
    ] = 0.3
    lost_classes: Annotated[
        Literal["error", "keep"], Field(description="labels that no text has any more, and some had the last time")
    ] = "error"
    empty_texts: Literal["error", "drop"] = "error"
    duplicates: Literal["drop", "keep"] = "drop"
    test_fraction: Fraction
    validation_fraction: Fraction

    @model_validator(mode="after")
    def _consistent(self) -> "Data":
        if self.source == "hub" and not self.hub_id:
            raise ValueError("data.source is hub, so data.hub_id must name a dataset")
        if self.source == "sample" and self.unlabelled:
            raise ValueError(f"data.unlabelled is {self.unlabelled!r}, but the packaged sample has no such split")
        if self.unlabelled in ("train", "validation", "test"):
            raise ValueError(f"data.unlabelled is {self.unlabelled!r}, which is the split with labels")
        if self.test_fraction + self.validation_fraction >= 0.9:
            raise ValueError("data.test_fraction + data.validation_fraction must leave at least 10 % to train on")
        return self

    @property
    def labels_kept(self) -> int | None:
        """``labels_per_class`` with ``auto`` resolved; None: all."""
        if self.labels_per_class == "auto":
            return SAMPLE_LABELS if self.source == "sample" else None
        return self.labels_per_class


class Compress(Section):
    """Export, a smaller vocabulary, quantisation."""

    vocabulary: Annotated[int, Field(ge=100)] | None = Field(None, description="word pieces kept; null: all")
    quantisation: Literal["int8", "int8_dynamic", "int8_static", "fp16", "none"]
    calibration_texts: Annotated[Count, Field(description="int8_static: training texts that show the ranges")] = 256
    tolerance: Annotated[Ratio, Field(description="accuracy on validation that a step may cost, or it is refused")]
    parity: Annotated[Ratio, Field(description="least agreement with the trained student")]


class Evaluate(Section):
    """The comparison on the test set."""

    batch_size: Count
    bootstrap: Annotated[int, Field(ge=100)]
    examples: Annotated[int, Field(ge=0)]
    cases: Annotated[Name, Field(description="a CSV file of behaviours: text, and label or same_as")]


class Register(Section):
    """The registered model and the gate to ``@champion``."""

    name: Annotated[
        str,
        StringConstraints(pattern=r"^[\w()+,-]+$", max_length=100),
        Field(description="of the registered model; auto: made of data.path or data.hub_id"),
    ] = "auto"
    min_retention: NotNegative
    margin: Annotated[Ratio, Field(description="accuracy that a new champion may lack of the old one's")] = 0.005
    max_size_mb: Positive
    max_latency_ms: Positive
    min_cases: Ratio | None = Field(None, description="share of the behaviours in evaluate.cases; null: not asked for")
    min_class_recall: Ratio | None = Field(
        None, description="least recall of each class with test texts; null: no limit"
    )


class Tracking(Section):
    """MLflow."""

    experiment: Name


class Flow(Section):
    """Limits and retries of the flow; they change no result."""

    when_busy: Annotated[Literal["wait", "fail"], Field(description="where another run works on this project")] = "wait"
    notify: Annotated[Name | None, Field(description="a URL or a command: told of failures and refused gates")] = None
    heartbeat: Annotated[Name | None, Field(description="a URL or a command: told of each run that ended well")] = None
    push: Annotated[bool, Field(description="dvc push after a run whose student became champion")] = False
    gpu_slots: Count
    retries: Annotated[int, Field(ge=0, le=20)]
    retry_delay_s: Annotated[NotNegative, Field(description="before the first try again; doubled with each")]
    timeout_minutes: dict[str, Positive]

    @model_validator(mode="after")
    def _every_stage(self) -> "Flow":
        if unknown := [name for name in self.timeout_minutes if name not in STAGES]:
            raise ValueError(f"flow.timeout_minutes.{unknown[0]} is no stage; there are {', '.join(STAGES)}")
        if missing := [name for name in STAGES if name not in self.timeout_minutes]:
            raise ValueError(f"flow.timeout_minutes lacks {', '.join(missing)}")
        return self


class Comparison(Section):
    """The arms of ``python -m flows.comparison``."""

    seeds: Annotated[list[Seed], Field(min_length=1)]
    regularise: Annotated[
        Literal["cotraining", "reversed", "mutual"], Field(description="how the simple model improves the teacher")
    ]


class Labels(Section):
    """The arms of ``python -m flows.labels``."""

    counts: Annotated[
        list[Annotated[int, Field(ge=2)] | Literal["all"]], Field(min_length=1, description="labels a class")
    ]
    draws: Annotated[list[Seed], Field(min_length=1, description="seeds, each of which draws other labels")]


class Study(Section):
    """The search of ``python -m flows.study``."""

    trials: Count
    workers: Annotated[Count, Field(description="trials at once, as far as flow.gpu_slots has places")]
    runner: Literal["threads", "processes", "dask", "ray"]
    address: Name | None = Field(None, description="of a Dask or Ray cluster")
    search: Annotated[dict[str, Any], Field(min_length=1, description="parameters and what to try")]

    @model_validator(mode="after")
    def _searchable(self) -> "Study":
        for key, values in self.search.items():
            if not key.startswith("student."):
                raise ValueError(f"study.search.{key}: a trial trains a student, so only student.* can be searched")
            if key.startswith("student.vocabulary"):
                raise ValueError(f"study.search.{key}: the vocabulary is learnt once, by the control stage")
            ranged = isinstance(values, dict) and {"low", "high"} <= values.keys() <= {"low", "high", "log"}
            if not ranged and not (isinstance(values, list) and values):
                raise ValueError(f"study.search.{key} must be a list, or low and high (and log), but is {values!r}")
            if ranged and not values["low"] < values["high"]:
                raise ValueError(f"study.search.{key}: low ({values['low']}) must be below high ({values['high']})")
        return self


class Schedule(Section):
    """When ``python -m flows.schedule`` starts the flow."""

    cron: Name
    timezone: Name = "UTC"
    refresh: Annotated[bool, Field(description="fetch the data anew each time, for a hub dataset that moves")] = False
