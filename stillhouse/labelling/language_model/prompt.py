"""The prompt: a template with the classes and examples first and the text last, so that prompts share their beginning.

Servers reuse the work on a common beginning of prompts (prefix cache), and several vendors charge less for it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from jinja2 import StrictUndefined, Template, TemplateError, TemplateSyntaxError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from stillhouse.errors import BadInput, listed
from stillhouse.labelling.language_model.codes import codes_for
from stillhouse.labelling.language_model.tokens import cut_middle, likely_tokens

DEFAULT = Path(__file__).with_name("default.jinja")
EXAMPLES_SHARE = 0.5  # of the context that examples may fill
LEAST_ROOM = 32  # tokens for the text
OVERHEAD = 64  # tokens that a server's chat template may add


@dataclass(frozen=True)
class Prompt:
    """A prompt for any text.

    Attributes:
        names: the names of the classes.
        codes: their codes, in the same order.
        descriptions: their descriptions, in the same order.
        template: the compiled template.
        where: the template's file.
        room: tokens of the context for examples and text.
    """

    names: tuple[str, ...]
    codes: tuple[str, ...]
    descriptions: tuple[str | None, ...]
    template: Template
    where: Path
    room: int

    def render(self, text: str, examples: Sequence[tuple[str, str]] = ()) -> tuple[str, bool]:
        """The prompt for ``text``. A text that is longer than the context is cut in the middle.

        Args:
            text: the text.
            examples: texts and names of their classes, shown in this order.

        Returns:
            The prompt, and whether the text was cut.
        """
        shown, room = [], self.room
        if examples:
            each = int(self.room * EXAMPLES_SHARE / len(examples))
            for example, name in examples:
                short, _ = cut_middle(_clean(example), each)
                shown.append({"text": short, "name": name, "code": self.codes[self.names.index(name)]})
                room -= likely_tokens(short) + OVERHEAD // 4
        short, cut = cut_middle(_clean(text), max(LEAST_ROOM, room))
        return _render(self.template, self.where, self._classes(), short, shown), cut

    def _classes(self) -> list[dict[str, str | None]]:
        parts = zip(self.codes, self.names, self.descriptions, strict=True)
        return [{"code": code, "name": name, "description": about} for code, name, about in parts]


def load_prompt(classes: Mapping[str, str | None], file: str | None, context: int, max_tokens: int) -> Prompt:
    """Read and check the template.

    Args:
        classes: names of the classes, in the order of the probabilities, and their descriptions.
        file: the user's template; None: the default.
        context: tokens that the model reads.
        max_tokens: tokens of the answer, which are part of the context.

    Raises:
        BadInput: the file is missing, is not UTF-8 or no template, has an unknown variable, lacks the text or the
            classes, or leaves no room for a text.
    """
    where = DEFAULT if file is None else Path(file)
    if len(classes) < 2:
        raise BadInput(f"A language model needs two classes or more, but there are {len(classes)}.")
    try:
        source = where.read_text(encoding="utf-8")
        template = _environment().from_string(source)
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise BadInput(f"label.prompt: {where} cannot be read ({reason}).") from None
    except TemplateSyntaxError as error:
        raise BadInput(f"label.prompt: {where}, line {error.lineno}: {error.message}.") from None
    _check(template, where)
    names = tuple(classes)
    prompt = Prompt(names, tuple(codes_for(names)), tuple(classes.values()), template, where, context)
    fixed = likely_tokens(_render(template, where, prompt._classes(), "", [])) + max_tokens + OVERHEAD
    if context - fixed < LEAST_ROOM:
        raise BadInput(
            f"The prompt without the text has about {fixed} tokens with the answer, and label.context is {context}: "
            f"that leaves less than {LEAST_ROOM} for the text. Shorten the descriptions or the template, or use a "
            "model that reads more."
        )
    return Prompt(names, prompt.codes, prompt.descriptions, template, where, context - fixed)


def _environment() -> ImmutableSandboxedEnvironment:
    return ImmutableSandboxedEnvironment(
        undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=False
    )


def _check(template: Template, where: Path) -> None:
    """Render the template with marks, and look for each of them."""
    marks = [(f"<<code {n}>>", f"<<name {n}>>") for n in range(2)]
    classes: list[dict[str, str | None]] = [{"code": c, "name": n, "description": "about"} for c, n in marks]
    example = {"text": "example", "name": marks[0][1], "code": marks[0][0]}
    _render(template, where, [{**one, "description": None} for one in classes], "<<text>>", [])
    made = _render(template, where, classes, "<<text>>", [example])
    lacking = [] if "<<text>>" in made else ["the text, {{ text }}"]
    lacking += [] if all(code in made for code, _ in marks) else ["each class's code, {{ class.code }}"]
    lacking += [] if all(name in made for _, name in marks) else ["each class's name, {{ class.name }}"]
    if lacking:
        raise BadInput(f"label.prompt: {where} must contain {listed(lacking)} (for class in classes).")


def _render(
    template: Template, where: Path, classes: list[dict[str, str | None]], text: str, examples: list[dict[str, str]]
) -> str:
    try:
        return template.render(classes=classes, text=text, examples=examples)
    except (TemplateError, TypeError, ValueError, ArithmeticError, LookupError, AttributeError) as error:
        line = _line(error.__traceback__)
        known = "It can use text, classes (code, name, description) and examples (text, code, name)"
        raise BadInput(f"label.prompt: {where}, line {line}: {error}. {known}.") from None


def _line(trace: TracebackType | None) -> int:
    """The template's line in a traceback, which jinja2 rewrites to have it."""
    line = 1
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == "<template>":
            line = trace.tb_lineno
        trace = trace.tb_next
    return line


def _clean(text: str) -> str:
    """``text`` without what JSON in UTF-8 cannot have: halves of surrogate pairs become question marks."""
    return text.encode("utf-8", "replace").decode("utf-8")
