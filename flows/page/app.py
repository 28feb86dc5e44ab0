"""The HTTP side of the page: its addresses, its limits, and who may use it."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.exceptions import RequestValidationError
from fastapi.middleware.trustedhost import TrustedHostMiddleware
from fastapi.responses import JSONResponse, Response
from fastapi.staticfiles import StaticFiles
from pydantic import BaseModel, Field

from flows.page.answer import MOST_WORDS, answer
from flows.page.mistakes import has_mistakes, mistakes
from flows.page.teacher import LazyTeacher, has_teacher
from stillhouse.errors import BadInput
from stillhouse.serving.classifier import Classifier

STATIC = Path(__file__).parent / "static"
HOSTS = ["127.0.0.1", "localhost"]  # another name that leads to this machine may be that of an attacker's page
MOST_BYTES = 10 * 2**20  # of a table or of lines
MOST_CHARACTERS = 100_000  # of one text
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class Question(BaseModel):
    """A text to classify."""

    text: str = Field(max_length=MOST_CHARACTERS, pattern=r"\S")


def create_app(name: str, folder: Path, classifier: Classifier) -> FastAPI:
    """Return the application.

    Args:
        name: of the model, as the user gave it.
        folder: of the model.
        classifier: the loaded model.
    """
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    teacher = LazyTeacher([str(name) for name in classifier.classes_]) if has_teacher() else None
    with_mistakes = has_mistakes(folder)

    @app.get("/api/model")
    def model() -> dict[str, Any]:
        return {
            "name": name,
            "classes": list(classifier.classes_),
            "min_confidence": classifier.min_confidence,
            "teacher": teacher is not None,
            "mistakes": with_mistakes,
            "most_words": MOST_WORDS,
            "most_bytes": MOST_BYTES,
        }

    @app.post("/api/answer")
    def of_student(question: Question) -> dict[str, Any]:
        return answer(classifier, question.text)

    @app.post("/api/teacher")
    def of_teacher(question: Question) -> dict[str, Any]:
        if teacher is None:
            raise BadInput("There is no teacher in this folder. Start the page in a project's folder after a run.")
        found = teacher.answer(question.text)
        return {"loading": found is None, **(found or {})}

    @app.get("/api/mistakes")
    def of_test() -> dict[str, Any]:
        if not with_mistakes:
            raise BadInput("The model is not that of the last run of a project in this folder.")
        return mistakes(classifier)

    @app.post("/api/columns")
    async def columns(request: Request, name: str) -> dict[str, Any]:
        content = await request.body()
        return await run_in_threadpool(_columns, content, name)

    @app.post("/api/table")
    async def table(request: Request, name: str, column: str) -> Response:
        content = await request.body()
        return await run_in_threadpool(_table, classifier, content, name, column)

    @app.post("/api/lines")
    async def lines(request: Request) -> Response:
        content = await request.body()
        return await run_in_threadpool(_lines, classifier, content)

    app.exception_handler(BadInput)(_bad_input)
    app.exception_handler(RequestValidationError)(_not_valid)
    app.middleware("http")(_guard)
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=HOSTS, www_redirect=False)
    app.mount("/", StaticFiles(directory=STATIC, html=True))
    return app


def _columns(content: bytes, name: str) -> dict[str, Any]:
    from flows.page import tables  # MLflow and datasets take seconds to load, and texts alone need neither

    return tables.columns_of(content, name)


def _table(classifier: Classifier, content: bytes, name: str, column: str) -> Response:
    from flows.page import tables

    return _csv(tables.label_table(classifier, content, name, column))


def _lines(classifier: Classifier, content: bytes) -> Response:
    from flows.page import tables

    try:
        lines = content.decode("utf-8").replace("\r\n", "\n").removesuffix("\n").split("\n")
    except UnicodeDecodeError as error:
        raise BadInput(f"The lines are not UTF-8 ({error.reason}).") from None
    if not any(line.strip() for line in lines):
        raise BadInput("There is no text. Paste the texts, one a line.")
    return _csv(tables.label_lines(classifier, lines))


def _csv(content: bytes) -> Response:
    return Response(content, media_type="text/csv; charset=utf-8")


async def _guard(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
    """Refuse what other pages in the browser send, and bodies that are too long; add the headers to each response."""
    problem = _problem(request)
    response = JSONResponse({"error": problem[1]}, problem[0]) if problem else await call_next(request)
    response.headers.update(HEADERS)
    return response


def _problem(request: Request) -> tuple[int, str] | None:
    """Return the status and the message of a request that is refused; None for the others."""
    origin, length = request.headers.get("origin"), request.headers.get("content-length", "")
    if origin is not None and origin != f"http://{request.headers['host']}":
        return 403, "Another page sent this request. Use the page of `stillhouse try` itself."
    if request.method == "POST" and not length.isdecimal():
        return 411, "The request has no length."
    if request.method == "POST" and int(length) > MOST_BYTES:
        return 413, f"This is more than {MOST_BYTES // 2**20} MB. Use `stillhouse score` for large tables."
    return None


def _bad_input(request: Request, error: Exception) -> Response:
    return JSONResponse({"error": str(error)}, 400)


def _not_valid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    kind = error.errors()[0]["type"]
    messages = {
        "string_pattern_mismatch": "There is no text. Type one.",
        "string_too_long": f"The text is longer than {MOST_CHARACTERS:,} characters.",
        "string_unicode": "The text has a code that is no character.",
    }
    return JSONResponse({"error": messages.get(kind, f"The request is not valid: {error.errors()[0]['msg']}.")}, 400)
