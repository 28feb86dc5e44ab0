"""The serving package: predictions with a compressed student.

It needs NumPy, tokenizers and onnxruntime alone, which is what ``pip install stillhouse`` installs. The exception is
``mlflow_model``, which MLflow loads.
"""

from stillhouse.serving.answers import Answers
from stillhouse.serving.classifier import Classifier

__all__ = ["Answers", "Classifier"]
