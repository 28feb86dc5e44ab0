import json
import math
from dataclasses import replace

import numpy as np
import pytest
from project import ROOT

from stillhouse.evaluation.baseline import TfidfSvm
from stillhouse.evaluation.choice import select_network
from stillhouse.evaluation.classes import ClassCounts
from stillhouse.evaluation.constant import CONSTANT
from stillhouse.evaluation.display import number
from stillhouse.evaluation.gate import judge
from stillhouse.evaluation.quality import Quality, differences, quality
from stillhouse.evaluation.report import as_markdown, as_text, render, table
from stillhouse.evaluation.results import METRIC_TABLE, Model, as_dict, brief, read_gaps, read_models
from stillhouse.evaluation.significance import Gap, bootstrap_interval, mcnemar, paired
from stillhouse.evaluation.speed import Speed
from stillhouse.params import load_params

RANDOM = np.random.default_rng(0)
LABELS, ANSWERS = RANDOM.integers(0, 4, 300), RANDOM.integers(0, 4, 300)


def test_the_bootstrap_interval_covers_the_mean_with_the_width_of_theory():
    values = (np.arange(1000) < 900).astype(float)
    low, high = bootstrap_interval(values, 2000, seed=0)
    assert low < 0.9 < high
    assert high - low == pytest.approx(2 * 1.96 * np.sqrt(0.9 * 0.1 / 1000), rel=0.15)


def test_shown_is_an_exact_test_and_not_an_interval_that_few_texts_make_narrow():
    wrong, right = np.zeros(39), np.zeros(39)
    for count, shown in ((2, False), (4, False), (5, True)):
        right[:count] = 1
        found = paired(right, wrong)
        assert found.low >= 0 and found.is_gain == shown and not found.is_loss, found
        assert paired(wrong, right).is_loss == shown
    assert paired(right, wrong).p == paired(wrong, right).p


@pytest.mark.parametrize(
    ("gained", "lost", "p"),
    [(0, 0, 1.0), (7, 7, 1.0), (4, 0, 0.0625), (5, 0, 0.03125), (3, 15, None), (900, 1000, None)],
)
def test_the_mid_p_value_is_the_sum_of_the_binomial_tails(gained, lost, p):
    found = mcnemar(gained, lost)
    assert found == mcnemar(lost, gained) and 0 < found <= 1
    if gained != lost:
        fewer, differing = min(gained, lost), gained + lost
        below = sum(math.comb(differing, k) for k in range(fewer)) / 2**differing
        assert found == pytest.approx(2 * below + math.comb(differing, fewer) / 2**differing)
    assert p is None or found == pytest.approx(p, abs=1e-6)


def test_equal_models_differ_by_nothing_and_a_better_one_by_something():
    scores = {"teacher": np.eye(4)[LABELS], "a": LABELS.copy(), "b": ANSWERS}
    gaps = differences(LABELS, scores, [("a", "teacher"), ("a", "b")], 200, 0)
    assert gaps["a - teacher"] == Gap(0, 0, 0, 1)
    assert gaps["a - b"].is_gain and not gaps["a - b"].is_loss
    results = quality(LABELS, scores, dict.fromkeys(scores, 10**6), 200, 0)
    assert results["a"].accuracy == 1 and results["a"].megabytes == 1
    assert "calibration_error" in as_dict(results["teacher"]) and "calibration_error" not in as_dict(results["b"])


def test_results_come_back_from_json_as_they_were(tmp_path):
    metrics = {"models": {"student": as_dict(STUDENT)}, "differences": {"student - teacher": as_dict(gap(0.1))}}
    (tmp_path / "metrics.json").write_text(json.dumps(metrics))
    speed = Speed(docs_per_s=51.2, latency_ms=2.0, latency_p95_ms=3.0)
    (tmp_path / "speed.json").write_text(json.dumps({"models": {"student": as_dict(speed)}}))
    assert read_models(tmp_path / "metrics.json", tmp_path / "speed.json") == {"student": Model.of(STUDENT, speed)}
    assert read_gaps(tmp_path / "metrics.json") == {"student - teacher": gap(0.1)}


def test_the_baseline_learns():
    texts = ["good fine nice"] * 5 + ["bad awful poor"] * 5
    model = TfidfSvm(seed=0).fit(texts, np.array([1] * 5 + [0] * 5))
    assert list(model.predict(["nice", "awful"])) == [1, 0] and model.bytes > 0


GATE = load_params(ROOT / "params.yaml").register_
STUDENT = Quality(
    accuracy=0.97, accuracy_low=0.95, accuracy_high=0.99, macro_f1=0.96, teacher_agreement=0.95, megabytes=2.0
)
TEACHER = replace(STUDENT, accuracy=0.98)
BALANCED = [ClassCounts("sport", 40, 50, 50, 48), ClassCounts("tech", 40, 50, 50, 48)]


def gap(accuracy: float, width: float = 0.01) -> Gap:
    return Gap(accuracy, accuracy - width, accuracy + width, p=0.01 if abs(accuracy) > width else 0.5)


@pytest.mark.parametrize(
    ("student", "latency", "free", "champion", "broken"),
    [
        (STUDENT, 2.0, 0.01, None, None),
        (STUDENT, 2.0, -0.005, gap(0.0), None),
        (STUDENT, 2.0, 0.0, gap(-0.004), None),
        (STUDENT, 2.0, 0.0, gap(-0.008), "below the champion"),  # more than register.margin
        (STUDENT, 2.0, 0.0, gap(-0.004, 0.001), "below the champion"),  # and shown to be so
        (STUDENT, 2.0, -0.02, None, "below TF-IDF + SVM"),
        (replace(STUDENT, accuracy=0.9), 2.0, 0.0, None, "min_retention"),
        (replace(STUDENT, megabytes=50.0), 2.0, 0.0, None, "max_size_mb"),
        (STUDENT, 500.0, 0.0, None, "max_latency_ms"),
    ],
)
def test_the_gate_says_which_condition_is_broken(student, latency, free, champion, broken):
    others = {"control": gap(0.0), "TF-IDF + SVM": gap(free)}
    verdict = judge(GATE, student, TEACHER, latency, others, champion, BALANCED)
    failed = [reason for reason in verdict.reasons if reason.startswith("FAILED")]
    assert verdict.passed == (broken is None)
    assert len(failed) == (broken is not None) and all(broken in reason for reason in failed)
    assert ("Use TF-IDF + SVM, or" in "".join(failed)) == (broken == "below TF-IDF + SVM")


@pytest.mark.parametrize(("least", "share", "passed"), [(None, 0.0, True), (0.9, 0.5, False), (0.9, 0.95, True)])
def test_the_gate_may_require_a_share_of_the_cases(least, share, passed):
    settings = GATE.model_copy(update={"min_cases": least})
    verdict = judge(settings, STUDENT, TEACHER, 2.0, {}, None, BALANCED, passed_cases=share)
    assert verdict.passed == passed
    assert any("register.min_cases: 90%" in reason for reason in verdict.reasons) == (least is not None)


def test_the_control_goes_on_only_where_it_is_shown_to_be_better():
    labels = np.arange(400) % 2
    right, half = np.eye(2)[labels], np.eye(2)[np.where(np.arange(400) < 40, 1 - labels, labels)]
    one_wrong = np.eye(2)[np.where(np.arange(400) < 1, 1 - labels, labels)]
    assert select_network(labels, student=half, control=right) == "control"
    assert select_network(labels, student=one_wrong, control=right) == "student"
    assert select_network(labels, student=right, control=half) == "student"


def test_tables_are_aligned_and_complete():
    quality = replace(STUDENT, accuracy=0.9876, macro_f1=0.98, megabytes=90.9)
    models = {"teacher": Model.of(quality, Speed(docs_per_s=51.2, latency_ms=2.0, latency_p95_ms=3.0))}
    rows = table(models)
    assert rows[1] == ["teacher", "98.8 %", "98.0 %", "90.9", "51.2"]
    assert as_markdown(rows).splitlines()[2] == "| teacher | 98.8 % | 98.0 % | 90.9 | 51.2 |"
    assert len({len(line) for line in as_text(rows).splitlines()}) == 1
    assert table({CONSTANT: quality})[1] == [CONSTANT, "98.8 %", "98.0 %", "–", "–"]  # neither a size nor a speed
    assert number(12345.6) == "12,346" and number(0.01234) == "0.0123"


def test_every_metric_of_the_table_is_in_the_report_and_the_brief_ones_where_a_run_is_summed_up(tmp_path):
    model = Model.of(STUDENT, Speed(docs_per_s=51.2, latency_ms=2.0, latency_p95_ms=3.0))
    assert list(brief(model)) == ["accuracy", "macro_f1", "megabytes", "docs_per_s"]
    assert list(brief(STUDENT)) == ["accuracy", "macro_f1"]  # a constant prediction has no size and no speed
    assert table({"student": model})[0][1:] == [METRIC_TABLE[name].title for name in brief(model)]
    picture = tmp_path / "frontier.png"
    picture.touch()
    render("fleet.html.jinja", tmp_path / "page.html", name="topics", fleet={}, others={"a": model}, frontier=picture)
    page = (tmp_path / "page.html").read_text()
    for metric in METRIC_TABLE.values():
        assert metric.title in page and metric.cell(model) in page
