"""The model card: facts of the evaluation alone, valid YAML and Markdown, the same bytes for the same inputs."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import yaml
from huggingface_hub import ModelCard
from markdown_it import MarkdownIt
from material import WORDS, texts_and_labels, tiny_model
from project import ROOT

from stillhouse.compression.seal import copy_with_threshold
from stillhouse.errors import BadInput
from stillhouse.evaluation.classes import class_rows, count_classes
from stillhouse.evaluation.confidence import certified, promises_of, threshold_of, write_statements
from stillhouse.evaluation.evidence import confusions, read_evidence
from stillhouse.evaluation.model_card import CARD, plain, write_card
from stillhouse.evaluation.quality import differences, quality
from stillhouse.evaluation.results import as_dict
from stillhouse.files import write_csv, write_json
from stillhouse.models.members import members, write_members
from stillhouse.params import load_params
from stillhouse.serving import Classifier
from stillhouse.tracking.identity import model_digest

PARAMS = load_params(ROOT / "params.yaml")
ODD = ["a | b", "# <b>bold</b>", "`x` *y* [z](w)", "key: 'v' \"q\"", "---", "two\nlines", "日本 \u202e💥", "no"]
MODELS = ("teacher", "control", "compressed student", "TF-IDF + SVM", "most frequent class")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return tiny_model(tmp_path_factory.mktemp("tiny") / "model")


def outputs(folder, names, wanted=None, labelled=True):
    """The files of the stages for a student that is wrong on every fifth text; returns how to find them."""
    random, size, texts = np.random.default_rng(3), len(names), 400
    labels = random.integers(0, size, texts)
    scores = {name: np.full((texts, size), 0.1 / size, np.float32) for name in MODELS}
    for place, score in enumerate(scores.values()):
        answers = np.where(np.arange(texts) % (8 - place) == 0, (labels + 1) % size, labels)
        score[np.arange(texts), answers] += 0.9
    settings = PARAMS.register_.model_copy(update={"answered_accuracy": wanted})
    answers = {name: score.argmax(1) for name, score in scores.items()}
    reference = labels if labelled else answers["teacher"]
    truth = labels if labelled else np.full(texts, -1)
    student = "compressed student"
    sizes = dict.fromkeys(MODELS, 1_000_000)
    qualities = quality(reference, scores, sizes, 50, 1, not labelled)
    gaps = differences(reference, scores, [(student, name) for name in ("control", "TF-IDF + SVM")], 50, 1)
    statements = certified(scores[student], truth, answers["teacher"], settings)
    for name in ("evaluate", "prepare", "label", "compress", "teacher/others"):
        (folder / name).mkdir(parents=True)
    confidence = {"temperature": 1.0} | ({"calibration_error": 0.04, "low": 0.02, "high": 0.06} if labelled else {})
    metrics = {"models": {name: as_dict(one) for name, one in qualities.items()}, "confidence": confidence}
    metrics["differences"] = {name: as_dict(gap, not labelled) for name, gap in gaps.items()}
    write_json(folder / "evaluate/metrics.json", metrics)
    counts = count_classes(reference, answers[student], names, [7] * size)
    write_csv(folder / "evaluate/classes.csv", class_rows(counts))
    columns = {"label": reference, "answer": answers[student]}
    rows = [{name: names[column[row]] for name, column in columns.items()} for row in range(texts)]
    write_csv(folder / "evaluate/answers.csv", rows)
    write_statements(statements, folder / "evaluate/certificate.json")
    splits = {"train": {"rows": 7 * size}, "validation": {"rows": 0}, "test": {"rows": texts}}
    write_json(folder / "prepare/card.json", {"splits": splits, "unlabelled": 1234, "classes": size})
    write_json(folder / "label/metrics.json", {"texts": 0})
    write_json(folder / "compress/metrics.json", {"source": "student"})
    write_members(members(["big/teacher_model"], [128], [1.0]), folder / "teacher/others")
    return lambda name: folder / name


def card_of(model, folder, names, data=PARAMS.data, name="topics", license=None, language=None, **options):
    """Writes a card into a copy of ``model``, as the stage register does."""
    evidence = read_evidence(name, outputs(folder / "outputs", names, **options))
    copy = copy_with_threshold(model, folder / "model", evidence.min_confidence, promises_of(evidence.statements))
    settings = PARAMS.register_.model_copy(update={"license": license, "language": language})
    return write_card(copy, evidence, settings, data), evidence


def parts(card):
    """The front matter as a strict parser of YAML reads it, and the body."""
    _, front, body = card.read_text(encoding="utf-8").split("---\n", 2)
    return yaml.safe_load(front), body


def test_the_front_matter_has_the_hubs_fields_and_the_results(model, tmp_path):
    data = PARAMS.data.model_copy(update={"source": "hub", "hub_id": "fancyzhx/ag_news"})
    card, evidence = card_of(model, tmp_path, ["a", "b", "c"], data, license="apache-2.0", language="no")
    front, _ = parts(card)
    assert front["library_name"] == "onnx" and front["pipeline_tag"] == "text-classification"
    assert front["license"] == "apache-2.0" and front["language"] == "no" and "stillhouse" in front["tags"]
    assert front["datasets"] == ["fancyzhx/ag_news"]
    [index] = front["model-index"]
    [result] = index["results"]
    assert index["name"] == "topics" and result["dataset"]["split"] == "test"
    assert result["dataset"]["type"] == "fancyzhx/ag_news"
    assert {one["type"]: one["value"] for one in result["metrics"]} == {
        "accuracy": round(evidence.student.accuracy, 4),
        "f1": round(evidence.student.macro_f1, 4),
    }
    read = ModelCard.load(card)  # the hub's own reader
    assert read.data.license == "apache-2.0" and read.data.eval_results[0].metric_type == "accuracy"


def test_the_card_states_what_the_evaluation_found(model, tmp_path):
    card, evidence = card_of(model, tmp_path, ["a", "b", "c"], wanted=0.7)
    front, body = parts(card)
    assert "license" not in front and "language" not in front and body.count("not stated") == 2
    assert evidence.quality in body and evidence.data in body and evidence.calibration in body
    assert "21 labelled training texts, 1,234 without labels" in body and r"teacher\_model" in body
    assert f"threshold {threshold_of(evidence.statements):.4f}" in body and evidence.promises[0] in body
    assert "right in at least 70.0 % of cases" in body
    worst = min(evidence.classes, key=lambda one: one.recall)
    assert f"| {worst.name} | {100 * worst.recall:.1f} % | {worst.texts} | 7 |" in body
    top = evidence.confusions[0]
    assert f"| {top.label} | {top.answer} | {top.texts} |" in body
    assert "stillhouse predict FOLDER" in body and "stillhouse reproduce VERSION --model topics" in body


def test_the_card_of_a_device_names_it_and_has_its_numbers(model, tmp_path):
    _, evidence = card_of(model, tmp_path, ["a", "b", "c"])
    found = replace(evidence, device="edge", confusions=confusions([("a", "c"), ("b", "b"), ("a", "c"), ("c", "a")]))
    body = write_card(tmp_path / "model", found, PARAMS.register_, PARAMS.data).read_text(encoding="utf-8")
    assert "It is the student for the device edge." in body and "stillhouse reproduce" not in body
    assert "| a | c | 2 |\n| c | a | 1 |\n" in body and "| b | b |" not in body


def test_without_labelled_test_texts_no_number_is_named_accuracy(model, tmp_path):
    card, evidence = card_of(model, tmp_path, ["a", "b", "c"], labelled=False)
    front, body = parts(card)
    results, _, limits = body.partition("## Limits")
    assert evidence.of_teacher and "accuracy" not in results and "the accuracy is unknown" in limits
    [metric] = front["model-index"][0]["results"][0]["metrics"]
    assert metric["type"] == "agreement"


def test_the_same_inputs_give_the_same_bytes_and_the_card_is_part_of_the_identity(model, tmp_path):
    one, _ = card_of(model, tmp_path / "1", ODD)
    two, _ = card_of(model, tmp_path / "2", ODD)
    other, _ = card_of(model, tmp_path / "3", ODD, license="mit")
    assert one.read_bytes() == two.read_bytes()
    digests = [model_digest(card.parent) for card in (one, two, other)]
    assert digests[0] == digests[1] != digests[2]


def test_class_names_break_neither_yaml_nor_markdown(model, tmp_path):
    card, evidence = card_of(model, tmp_path, ODD)
    front, body = parts(card)
    assert front["model-index"][0]["name"] == "topics"
    tokens = MarkdownIt("commonmark", {"html": True}).enable("table").parse(body)
    headings = [tokens[place + 1].content for place, one in enumerate(tokens) if one.type == "heading_open"]
    expected = [
        "Data",
        "Teacher",
        "Results on the test texts",
        "Errors",
        "Confidence",
        "Limits",
        "Licence and language",
    ]
    assert headings == ["topics", *expected, "Use", "Reproduce"]
    shown = [piece for one in tokens if one.type == "inline" for piece in one.children]
    assert not [piece for piece in shown if piece.type in ("html_inline", "link_open", "em_open")]
    assert not [one for one in tokens if one.type == "html_block"]
    cells = [len([1 for one in row if one.type == "td_open"]) for row in _rows(tokens)]
    assert set(cells) == {3, 4}
    text = "".join(piece.content for piece in shown)
    assert "a | b" in text and "<b>bold</b>" in text and "two lines" in text and "\u202e" not in text
    assert len(evidence.weakest(5)) == 5


def _rows(tokens):
    places = [place for place, one in enumerate(tokens) if one.type == "tr_open"]
    rows = [tokens[start : start + 20] for start in places]
    rows = [row[: [one.type for one in row].index("tr_close")] for row in rows]
    return [row for row in rows if row[1].type == "td_open"]


@pytest.mark.parametrize("name", ODD)
def test_a_name_is_shown_as_it_is(name):
    [paragraph] = [one for one in MarkdownIt().parse("x " + plain(name)) if one.type == "inline"]
    visible = " ".join(name.split()).replace("\u202e", "?")
    assert "".join(piece.content for piece in paragraph.children) == "x " + visible


def test_no_text_of_the_data_is_in_the_card(finished, tmp_path):
    outputs = finished.folder / "outputs"
    copy = copy_with_threshold(outputs / "compress" / "model", tmp_path / "model", None)
    evidence = read_evidence("topics", lambda name: outputs / name)
    written = write_card(copy, evidence, PARAMS.register_, PARAMS.data).read_text(encoding="utf-8")
    assert "253 labelled training texts" in written
    assert not [text for text, _ in texts_and_labels(360) if text in written]
    assert not [word for words in WORDS.values() for word in words if len(word) > 5 and f"{word} " in written]


def test_a_model_with_and_without_a_card_loads(model, tmp_path):
    card, _ = card_of(model, tmp_path, ["a", "b", "c"])
    texts = ["the goal of the match", "rain"]
    assert Classifier.load(card.parent).predict(texts).tolist() == Classifier.load(model).predict(texts).tolist()
    shutil.copytree(card.parent, tmp_path / "without")
    (tmp_path / "without" / CARD).unlink()
    assert (
        Classifier.load(tmp_path / "without").predict(texts).tolist() == Classifier.load(model).predict(texts).tolist()
    )


@pytest.mark.parametrize(
    ("key", "value"), [("license", "Apache 2.0\n---"), ("language", "English"), ("language", False)]
)
def test_a_licence_or_language_that_is_no_identifier_is_refused(tmp_path, key, value):
    text = (ROOT / "params.yaml").read_text(encoding="utf-8")
    line = f"  {key}: null "
    assert line in text
    (tmp_path / "params.yaml").write_text(text.replace(line, f"  {key}: {json.dumps(value)} "), encoding="utf-8")
    with pytest.raises(BadInput, match=f"register.{key}"):
        load_params(tmp_path / "params.yaml")
