"""The model card: ``README.md`` in the folder of a registered model, as Hugging Face's hub shows it.

The digest of a registered version covers the card. So equal evidence gives equal bytes: the card has no time stamp, no
timing and no number of a version.
"""

import json
import re
import shlex
import unicodedata
from pathlib import Path

from huggingface_hub import EvalResult, ModelCardData
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from stillhouse.evaluation.display import number, percent
from stillhouse.evaluation.evidence import Evidence
from stillhouse.evaluation.significance import p_value
from stillhouse.params import Data, Register

CARD = "README.md"
SHOWN = 5  # most classes and confusions that the card names
# What Markdown or HTML can read as markup within a line; a backslash before each makes it text.
MARKUP = re.compile(r"([\\`*_\[\]<>#|~&$])")
HUB_ID = re.compile(r"\w[\w.-]*(/\w[\w.-]*)?")
TURNS = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"  # change the direction of the text that follows


def write_card(folder: Path, evidence: Evidence, settings: Register, data: Data) -> Path:
    """Write the model card.

    Args:
        folder: of the registered model, with its ``config.json``.
        evidence: the facts.
        settings: the section ``register``, with licence and language.
        data: the section ``data``, with the hub's dataset if there is one.

    Returns:
        The file.
    """
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=False,  # Markdown; `plain` escapes what comes from the data
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(percent=percent, number=number, p_value=p_value, plain=plain)
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    text = environment.get_template("card.md.jinja").render(
        front_matter=_front_matter(evidence, settings, data),
        evidence=evidence,
        max_length=config["max_length"],
        license=settings.license,
        language=settings.language,
        shown=SHOWN,
        quoted_name=shlex.quote(evidence.name),
    )
    (folder / CARD).write_text(text, encoding="utf-8")
    return folder / CARD


def plain(text: str) -> str:
    """``text`` on one line, so that Markdown shows it as it is: no markup, no table cell that ends early.

    Characters that cannot be shown, and those that change the direction of the text, are replaced by a question mark.
    """
    line = " ".join(text.split())
    shown = "".join("?" if unicodedata.category(one) in ("Cc", "Cs") or one in TURNS else one for one in line)
    return MARKUP.sub(r"\\\1", shown)


def _front_matter(evidence: Evidence, settings: Register, data: Data) -> str:
    """The card's metadata as YAML."""
    hub = data.hub_id if data.source == "hub" and HUB_ID.fullmatch(data.hub_id or "") else None
    student = evidence.student
    values = {"agreement": student.accuracy} if evidence.of_teacher else {"accuracy": student.accuracy}
    if not evidence.of_teacher:
        values["f1"] = student.macro_f1
    names = {"agreement": evidence.measured, "accuracy": evidence.measured, "f1": "macro-F1"}
    results = [
        EvalResult(
            task_type="text-classification",
            dataset_type=hub or "private",
            dataset_name=hub or evidence.name,
            dataset_split="test",
            metric_type=kind,
            metric_name=names[kind],
            metric_value=round(value, 4),
        )
        for kind, value in values.items()
    ]
    return ModelCardData(
        license=settings.license,
        language=settings.language,
        library_name="onnx",
        pipeline_tag="text-classification",
        tags=["stillhouse", "text-classification", "knowledge-distillation"],
        datasets=[hub] if hub else None,
        model_name=evidence.name,
        eval_results=results,
    ).to_yaml(line_break="\n")
