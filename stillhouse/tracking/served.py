"""The registered model as MLflow loads it ("model from code": this file is copied, nothing is pickled)."""

from typing import Any

import mlflow
import pandas as pd
from mlflow.pyfunc import PythonModel, PythonModelContext

from stillhouse.classifier import Classifier


class ServedStudent(PythonModel):
    """Texts in; a table with the columns ``label`` (str) and ``probability`` (float) out."""

    def load_context(self, context: PythonModelContext) -> None:
        """Open the ONNX file and the tokenizer that were logged as the artifact ``model``."""
        self.classifier = Classifier.load(context.artifacts["model"])

    def predict(
        self, context: PythonModelContext, model_input: list[str], params: dict[str, Any] | None = None
    ) -> pd.DataFrame:
        """A list of texts, or a table with one column of texts; one row of answer for each text."""
        probabilities = self.classifier.predict_proba(model_input)
        best = probabilities.argmax(1)
        return pd.DataFrame(
            {
                "label": self.classifier.classes_[best],
                "probability": probabilities[range(len(best)), best].astype(float),
            }
        )


mlflow.models.set_model(ServedStudent())
