"""The body of a request to ``POST /predict``, checked, and the answers as JSON."""

import json
from dataclasses import dataclass
from typing import Any

from stillhouse.serving.answers import Answers

KEYS = ("text", "texts", "min_confidence")
FORMS = 'Send {"text": "..."} or {"texts": ["...", ...]}, and if you like "min_confidence" from 0 to 1.'


class Refused(Exception):
    """A request that cannot be answered.

    Attributes:
        status: of the response.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True)
class Request:
    """A request for predictions.

    Attributes:
        texts: to classify.
        single: whether the request has one text and not a list, so that the response is one object.
        min_confidence: the threshold of this request; None: that of the model.
    """

    texts: list[str]
    single: bool
    min_confidence: float | None

    @classmethod
    def read(cls, body: bytes, most_texts: int) -> "Request":
        """Read the JSON of a request.

        Args:
            body: of the request.
            most_texts: the largest number of texts.

        Raises:
            Refused: the body is not such JSON; the message names the mistake.
        """
        try:
            content = json.loads(body)
        except (ValueError, RecursionError) as error:
            raise Refused(400, f"The body is not JSON ({str(error)[:200]}). {FORMS}") from None
        if not isinstance(content, dict):
            raise Refused(400, f"The body is {_kind(content)}, not an object. {FORMS}")
        if unknown := sorted(set(content) - set(KEYS)):
            raise Refused(400, f"The key {unknown[0][:80]!r} is unknown. {FORMS}")
        if ("text" in content) == ("texts" in content):
            raise Refused(400, f"The body must have either text or texts. {FORMS}")
        single = "text" in content
        texts = [content["text"]] if single else content["texts"]
        if not isinstance(texts, list):
            raise Refused(400, f"texts is {_kind(texts)}, not a list of strings. {FORMS}")
        if len(texts) > most_texts:
            raise Refused(400, f"texts has {len(texts):,} texts; the limit is {most_texts:,}. Send several requests.")
        for position, text in enumerate(texts):
            if not isinstance(text, str):
                name = "text" if single else f"texts[{position}]"
                raise Refused(400, f"{name} is {_kind(text)}, not a string. {FORMS}")
        return cls(texts, single, _confidence(content.get("min_confidence")))

    def reply(self, answers: Answers) -> dict[str, Any]:
        """The response: one object for one text, or ``predictions`` with an object for each text, in order."""
        rows = zip(answers.labels, answers.probabilities, answers.deferred, strict=True)
        found = [{"label": str(label), "probability": float(p), "deferred": bool(later)} for label, p, later in rows]
        return found[0] if self.single else {"predictions": found}


def _confidence(value: Any) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Refused(400, f"min_confidence is {_kind(value)}; it must be a number from 0 to 1.")
    if not 0 <= value <= 1:
        raise Refused(400, f"min_confidence is {str(value)[:20]}; it must be from 0 to 1.")
    return float(value)


def _kind(value: Any) -> str:
    """The name of a value's type in JSON."""
    names = {dict: "an object", list: "a list", str: "a string", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")
