"""The registered model as MLflow loads it ("model from code": this file is copied, nothing is pickled)."""

from typing import Any

import mlflow
from mlflow.pyfunc import PythonModel, PythonModelContext
from pydantic import BaseModel

from stillhouse.classifier import Classifier


class Answer(BaseModel):
    """What one text is answered with."""

    label: str
    probability: float


class ServedStudent(PythonModel):
    """Texts in; for each its most probable label, and how probable."""

    def load_context(self, context: PythonModelContext) -> None:
        """Open the ONNX file and the tokenizer that were logged as the artifact ``model``."""
        self.classifier = Classifier.load(context.artifacts["model"])

    def predict(
        self, context: PythonModelContext, model_input: list[str], params: dict[str, Any] | None = None
    ) -> list[Answer]:
        """A list of texts, or a table with one column of texts, to one answer a text, in the same order."""
        probabilities = self.classifier.predict_proba(model_input)
        best = probabilities.argmax(1)
        return [
            Answer(label=str(self.classifier.classes_[index]), probability=float(row[index]))
            for index, row in zip(best, probabilities, strict=True)
        ]


mlflow.models.set_model(ServedStudent())
