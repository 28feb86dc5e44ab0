"""The section ``label``."""

import re
from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from stillhouse.choices import Choice
from stillhouse.params.section import Count, Name, NotNegative, Positive, Ratio, Section

SECRET = re.compile(r"(^|[-_])(key|apikey|secret|password|token|authorization)$", re.IGNORECASE)


def _keys(options: Any) -> Iterator[str]:
    """The names in ``options``, at any depth."""
    if isinstance(options, dict):
        for name, value in options.items():
            yield str(name)
            yield from _keys(value)
    elif isinstance(options, list):
        for value in options:
            yield from _keys(value)


class Price(Section):
    """What the language model costs, in dollars for a million tokens."""

    input: NotNegative | None = Field(description="tokens of the prompt")
    output: NotNegative | None = Field(description="tokens of the answer")


class Label(Section):
    """Labels of a machine for texts without a label: from a language model, or from a file."""

    source: Literal["none", "language_model", "file"] = Field(description="where the labels come from")
    path: Name | None = Field(description="file: a table with texts, and a label, probabilities or votes")
    text_column: Name = Field(description="file: the column with the texts")
    label_column: Name = Field(description="file: the column with the labels, without a column for each class")
    weight: Ratio | Literal["auto"] = Field(
        description="weight of such labels as evidence; auto: 1, or 0 where cross-validation shows them to do harm"
    )
    audit: Literal["stop", "warn"] = Field(
        description="if the labels are shown to be worse than the free ones: stop before the rest is paid for, or warn"
    )
    url: Name = Field(description="of a server that speaks OpenAI's chat protocol, up to and including /v1")
    model: Name | None = Field(description="the model's name on that server")
    key: Name | None = Field(description="the environment variable with the key; null: none is sent")
    prompt: Name | None = Field(description="a template file; null: the default")
    options: dict[Name, Any] = Field(description="further fields of each request, such as reasoning_effort: low")
    examples: Annotated[int, Field(ge=0, description="labelled examples in each prompt, the most similar ones")]
    answers: Literal["auto", "logprobs", "votes", "single"] = Field(
        description="auto: the best that the server supports: log-probabilities, votes of samples, a single answer"
    )
    samples: Annotated[int, Field(ge=2, le=100, description="samples of each text, for votes")]
    texts: Count = Field(description="most texts to label")
    test_texts: Annotated[int, Field(ge=0, description="test texts that the model labels, for the report")]
    choose: Choice = Field(description="which texts")
    max_unusable: Annotated[Ratio, Field(description="largest share of unusable answers; above it the stage stops")]
    max_cost: NotNegative | None = Field(description="most dollars for all calls of this project; null: no limit")
    price: Price
    max_tokens: Count = Field(description="most tokens of an answer; more for a model that reasons first")
    context: Count = Field(description="tokens that the model reads; longer texts are cut in the middle")
    concurrency: Count = Field(description="calls at once")
    requests_per_minute: Count | None
    tokens_per_minute: Count | None
    timeout_s: Positive
    retries: Annotated[int, Field(ge=0)]

    @field_validator("key")
    @classmethod
    def _a_variable(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch(r"[A-Z_][A-Z0-9_]*", value):  # the value may be a key: not shown
            raise ValueError("label.key must be the name of an environment variable in capital letters, not the key")
        return value

    @model_validator(mode="after")
    def _consistent(self) -> "Label":
        if self.source == "language_model" and not self.model:
            raise ValueError("label.source is language_model, so label.model must name the model")
        if self.source == "file" and not self.path:
            raise ValueError("label.source is file, so label.path must name the file")
        if not re.match("https?://.", self.url):
            raise ValueError("label.url must start with http:// or https://")
        if "@" in self.url.split("/")[2] or "?" in self.url:  # not shown: it may contain a key
            raise ValueError("label.url must have no user, password or query; label.key names a variable with the key")
        if secret := sorted(name for name in _keys(self.options) if SECRET.search(name)):
            raise ValueError(
                f"label.options must not have {', '.join(secret)}: parameters are stored as plain text; label.key "
                "names the variable with the key"
            )
        if own := {"model", "messages", "max_tokens", "max_completion_tokens", "n", "stream"} & self.options.keys():
            raise ValueError(f"label.options must not have {', '.join(sorted(own))}")
        if self.max_cost is not None and None in (self.price.input, self.price.output):
            raise ValueError("label.max_cost needs label.price.input and label.price.output, dollars a million tokens")
        return self
