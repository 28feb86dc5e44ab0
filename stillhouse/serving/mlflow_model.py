"""The registered model as MLflow loads it.

It is a "model from code": MLflow copies this file and executes it. Nothing is pickled.
"""

from collections.abc import Mapping
from typing import Any

import mlflow
import numpy as np
import pandas as pd
from mlflow.exceptions import MlflowException
from mlflow.pyfunc import PythonModel, PythonModelContext
from pydantic import BaseModel

from stillhouse.serving.classifier import Classifier

COLUMN = "text"  # the column that is read of a table with several columns
FORMS = 'Send texts: {"inputs": ["a text", ...]}, or a table with one column, or one with a column "text"'


class Answer(BaseModel):
    """The prediction for one text."""

    label: str
    probability: float
    deferred: bool


class ServedStudent(PythonModel):
    """The model: from texts to the label of each, its probability, and whether it is deferred.

    The model has no input schema. With one of MLflow's type hints, its server would accept ``inputs`` only. With a
    schema of columns, it would drop every column but the first, whatever the names are. So this class checks the input.
    """

    def load_context(self, context: PythonModelContext) -> None:
        """Load the files that were logged as the artifact ``model``."""
        self.classifier = Classifier.load(context.artifacts["model"])

    def predict(
        self, context: PythonModelContext, model_input: pd.DataFrame, params: dict[str, Any] | None = None
    ) -> list[Answer]:
        """Return label and probability of each text, and whether it is deferred, in the order of the input.

        Args:
            context: not used.
            model_input: a list, array or series of texts; a table, or a mapping of columns, with one column of any
                name or with a column ``text``; or a list of such rows.
            params: ``min_confidence``, a threshold that replaces the model's own.

        Raises:
            MlflowException: the input has another form, or a value is not a text; the server responds with status 400.
        """
        try:
            answers = self.classifier.answer(texts_of(model_input), (params or {}).get("min_confidence"))
        except (TypeError, ValueError) as error:
            raise MlflowException.invalid_parameter_value(f"{error}. {FORMS}.") from None
        rows = zip(answers.labels, answers.probabilities, answers.deferred, strict=True)
        return [Answer(label=str(label), probability=float(p), deferred=bool(deferred)) for label, p, deferred in rows]


def texts_of(given: Any) -> list[Any]:
    """The texts of a request in any accepted form. Raises TypeError for any other form."""
    if isinstance(given, list) and given and all(isinstance(row, Mapping) for row in given):
        given = pd.DataFrame([{name: _plain(value) for name, value in row.items()} for row in given])
    if isinstance(given, Mapping):
        columns = list(given)
        return texts_of(given[_chosen(columns)])
    if isinstance(given, pd.DataFrame):
        columns = list(given.columns)
        if not columns and given.empty:
            return []
        return _checked(given.iloc[:, columns.index(_chosen(columns))].tolist())
    if isinstance(given, list | tuple | np.ndarray | pd.Series):
        rows = given.tolist() if isinstance(given, np.ndarray | pd.Series) else list(given)
        if not isinstance(rows, list):  # an array without dimensions
            raise TypeError(f"the texts must be a list of strings, not one {type(rows).__name__}")
        one_column = rows and all(isinstance(row, list) and len(row) == 1 for row in rows)
        return _checked([row[0] for row in rows] if one_column else rows)
    raise TypeError(f"the texts must be a list of strings, not {type(given).__name__}")


def _chosen(columns: list[Any]) -> Any:
    if columns.count(COLUMN) == 1:
        return COLUMN
    if len(columns) != 1:
        named = ", ".join(map(repr, columns[:20])) or "none"
        raise TypeError(f"the table has no single column {COLUMN!r}; its columns are {named}")
    return columns[0]


def _checked(texts: list[Any]) -> list[Any]:
    for position, text in enumerate(texts):
        if not isinstance(text, str):
            missing = text is None or text is pd.NA or (isinstance(text, float) and text != text)
            kind = "missing" if missing else type(text).__name__
            raise TypeError(f"text {position} is {kind}, not a string")
    return texts


def _plain(value: Any) -> Any:
    """A value of a row; MLflow puts it into an array without dimensions."""
    return value.item() if isinstance(value, np.ndarray) and value.ndim == 0 else value


mlflow.models.set_model(ServedStudent())
