"""Labels from a language model: nothing is paid for twice, a cap holds, and no answer is guessed at."""

import json
import logging
import time

import numpy as np
import pytest
from llm_server import ABILITIES, scripted_server
from project import ROOT

from stillhouse.errors import BadInput, Unavailable
from stillhouse.labelling.language_model import client, estimate, label_texts
from stillhouse.labelling.language_model.cache import FILE, Cache
from stillhouse.params import load_params

NAMES = ["business", "sports", "tech"]
CLASSES = {"business": "companies and markets", "sports": None, "tech": "devices and software"}
LABEL = load_params(ROOT / "params.yaml").label
SINGLE, VOTES = {*ABILITIES} - {"logprobs", "n", "response_format"}, {*ABILITIES} - {"logprobs", "response_format"}


def table(count):
    return {f"text number {i} about something": NAMES[i % 3] for i in range(count)}


def settings(server, **changes):
    url = server if isinstance(server, str) else server.url
    changes = {"source": "language_model", "model": "m", "url": url, "timeout_s": 20, "max_unusable": 1.0, **changes}
    return type(LABEL).model_validate(LABEL.model_dump() | changes)


def label(labels, server, folder, **changes):
    return label_texts(list(labels), CLASSES, [], settings(server, **changes), folder)


def right(answers, labels):
    return np.mean(answers.probabilities.argmax(1) == [NAMES.index(name) for name in labels.values()])


@pytest.fixture(autouse=True)
def short_waits(monkeypatch):
    monkeypatch.setattr(client, "FIRST_WAIT_S", 0.01)


# What a server supports


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({}, "logprobs"),
        ({"top": 5}, "logprobs"),
        ({"supports": {"logprobs", "max_completion_tokens"}}, "logprobs"),
        ({"supports": VOTES}, "votes"),
        ({"drops": {"logprobs"}}, "votes"),
        ({"supports": SINGLE}, "single"),
        ({"supports": {"max_tokens"}}, "single"),
        ({"drops": {"logprobs", "n", "response_format"}}, "single"),
        ({"drops": {"logprobs", "n"}}, "single"),
        ({"reports_usage": False}, "logprobs"),
    ],
)
def test_the_best_that_a_server_supports_is_used_and_a_second_run_sends_nothing(changes, kind, tmp_path):
    labels = table(30)
    with scripted_server(labels, **changes) as server:
        first = label(labels, server, tmp_path)
        sent = len(server.requests)
        again = label(labels, server, tmp_path)
        assert len(server.requests) == sent and server.calls - 30 <= 6
        assert (first.kind, first.paid, first.cached, first.unusable) == (kind, 30, 0, 0)
        assert (again.kind, again.paid, again.cached, again.calls) == (kind, 0, 30, 0)
        assert again.probabilities.tobytes() == first.probabilities.tobytes()
        assert first.probabilities.dtype == np.float32 and first.probabilities.sum(1) == pytest.approx(1)
        assert right(first, labels) == 1 if kind != "votes" else right(first, labels) > 0.75


def test_votes_without_the_option_n_are_calls_of_their_own_that_more_samples_add_to(tmp_path):
    labels = table(6)
    with scripted_server(labels, drops={"logprobs", "n"}) as server:
        three = label(labels, server, tmp_path, answers="votes", samples=3)
        about = [body for body in server.answered if "Classify" in body["messages"][0]["content"]]
        assert len(about) == 18 and {body["seed"] for body in about} == {0, 1, 2}
        label(labels, server, tmp_path, answers="votes", samples=5)
        about = [body for body in server.answered if "Classify" in body["messages"][0]["content"]]
        assert len(about) == 30 and three.kind == "votes"


def test_log_probabilities_that_are_required_are_looked_for_again(tmp_path):
    labels = table(3)
    with scripted_server(labels, drops={"logprobs"}) as server:
        for _ in range(2):
            with pytest.raises(BadInput, match="gives no log-probabilities for m. Set label.answers"):
                label(labels, server, tmp_path, answers="logprobs")
        server.drops = set()  # the server was upgraded
        assert label(labels, server, tmp_path, answers="logprobs").kind == "logprobs"


def test_a_cap_cannot_hold_if_the_server_ignores_the_length_of_answers(tmp_path):
    labels = table(3)
    with scripted_server(labels) as server:
        server.complete = lambda body, say, complete=server.complete: complete(body | {"max_tokens": 1000}, say)
        with pytest.raises(BadInput, match="ignores the limit of 2 tokens"):
            label(labels, server, tmp_path, max_tokens=2, max_cost=1.0, price={"input": 1, "output": 1})


def test_errors_of_the_model_are_as_scripted(tmp_path):
    labels = table(300)
    with scripted_server(labels, right=0.8, towards="tech") as server:
        answers = label(labels, server, tmp_path, concurrency=8)
    truth, found = np.array([NAMES.index(name) for name in labels.values()]), answers.probabilities.argmax(1)
    assert 0.1 < (found != truth).mean() < 0.27 and {*found[(found != truth) & (truth != 2)]} == {2}


# Money


def test_the_cap_holds_with_many_calls_at_once_and_a_higher_cap_continues(tmp_path):
    labels, price = table(120), {"input": 1000.0, "output": 4000.0}
    with scripted_server(labels, delay=0.005) as server:
        paid, caps = 0, (2.0, 6.0, 1000.0)
        for cap in caps:
            answers = label(labels, server, tmp_path, concurrency=16, max_cost=cap, price=price)
            spent = server.dollars(1000, 4000)
            assert spent == pytest.approx(answers.dollars_in_all) and spent <= cap
            assert answers.cached == paid and answers.cached + answers.paid + answers.left == 120
            assert answers.at_cap == (cap != caps[-1]) and np.isnan(answers.probabilities).any(1).sum() == answers.left
            paid += answers.paid
            worst = 1.1 * max(len(json.dumps(body)) + 256 for body in server.requests) / 1000 + 8 * 4 / 1000
            assert not answers.at_cap or spent > cap - worst  # no money is left that would have been enough
        assert paid == 120 and server.calls == 122


def test_a_cap_that_allows_no_call_is_a_result(tmp_path):
    with scripted_server(table(3)) as server:
        answers = label(table(3), server, tmp_path, max_cost=0.0, price={"input": 1, "output": 1})
        assert answers.at_cap and answers.left == 3 and answers.dollars == 0 and not server.requests
        assert np.isnan(answers.probabilities).all()


def test_a_call_that_may_have_been_answered_counts_with_its_highest_price_and_a_refused_one_with_none(tmp_path):
    labels, price = table(3), {"input": 1000.0, "output": 1000.0}
    with scripted_server(labels) as server:
        before = label(labels, server, tmp_path / "plain", price=price, max_cost=100)
        server.faults = [429, 500, 503]
        refused = label(labels, server, tmp_path / "refused", price=price, max_cost=100)
        assert refused.dollars == pytest.approx(before.dollars)
        for fault in ("broken", "half", "garbage", "hang"):
            server.faults = [fault]
            lost = label(labels, server, tmp_path / fault, price=price, max_cost=100, timeout_s=0.3)
            assert lost.dollars > before.dollars + 0.25, fault
            again = label(labels, server, tmp_path / fault, price=price, max_cost=100)
            assert again.dollars_in_all == pytest.approx(lost.dollars) and again.dollars == 0


def test_answers_stay_at_the_price_that_was_paid(tmp_path):
    labels = table(20)
    with scripted_server(labels) as server:
        dear = label(dict(list(labels.items())[:10]), server, tmp_path, price={"input": 100.0, "output": 100.0})
        cheap = label(labels, server, tmp_path, price={"input": 1.0, "output": 1.0})
        assert cheap.dollars < dear.dollars / 50
        assert cheap.dollars_in_all == pytest.approx(dear.dollars + cheap.dollars)


def test_equal_texts_are_paid_for_once(tmp_path):
    with scripted_server(table(2)) as server:
        texts = [*table(2)] * 5
        answers = label_texts(texts, CLASSES, [], settings(server), tmp_path)
        assert answers.probabilities.shape == (10, 3) and answers.paid == 2 and server.calls == 4


def test_an_estimate_sends_nothing_and_is_about_right(tmp_path):
    labels, price = table(40), {"input": 10.0, "output": 10.0}
    few = dict(list(labels.items())[:20])
    with scripted_server(labels) as server:
        parameters = settings(server, price=price, requests_per_minute=None)
        first = estimate(list(few), CLASSES, [], parameters, tmp_path / "new")
        assert not server.requests and not (tmp_path / "new").exists()
        assert (first.texts, first.cached, first.calls, first.kind, first.seconds) == (20, 0, 20, None, None)
        done = label(few, server, tmp_path, price=price)
        assert done.dollars < first.dollars
        sent = len(server.requests)
        second = estimate(list(labels), CLASSES, [], parameters, tmp_path)
        assert len(server.requests) == sent and (second.cached, second.calls, second.kind) == (20, 20, "logprobs")
        rest = label(labels, server, tmp_path, price=price)
        assert second.prompt_tokens == pytest.approx(rest.prompt_tokens, rel=0.1) and second.seconds is not None
        assert "20 are stored" in str(second) and "$" in str(second)


# Failures of the server


@pytest.mark.parametrize("fault", [408, 409, 429, 500, 503, "broken", "half", "garbage", "error200"])
def test_a_failure_that_may_pass_is_tried_again(fault, tmp_path):
    labels = table(12)
    with scripted_server(labels) as server:
        server.faults = [fault] * 3 + [None] * 5 + [fault] * 2
        answers = label(labels, server, tmp_path)
        assert (answers.paid, answers.failed, answers.unusable) == (12, 0, 0)


def test_a_server_that_hangs_is_given_up_after_the_time_limit(tmp_path):
    with scripted_server(table(4)) as server:
        label(dict(list(table(4).items())[:1]), server, tmp_path)
        server.faults = ["hang"]
        start = time.monotonic()
        assert label(table(4), server, tmp_path, timeout_s=0.3).paid == 3
        assert time.monotonic() - start < 5


def test_all_calls_wait_as_long_as_the_server_asks(tmp_path):
    labels = table(8)
    with scripted_server(labels, retry_after="0.4") as server:
        server.faults = [None, None, 429]
        label(labels, server, tmp_path, concurrency=1)
        gaps = np.diff(server.times)
        assert gaps[2] >= 0.39 and np.delete(gaps, 2).max() < 0.35
        server.retry_after, server.faults = "86400", [429]
        with pytest.raises(Unavailable, match="requires a wait of 86,400 s"):
            label(table(10), server, tmp_path)


def test_no_credit_is_never_tried_again(tmp_path):
    labels = table(20)
    with scripted_server(labels) as server:
        server.faults = [None] * 6 + ["quota"]
        with pytest.raises(BadInput, match="no credit left"):
            label(labels, server, tmp_path, concurrency=1)
        assert len(server.requests) == 7 and len([*Cache(tmp_path)]) == 6
        assert label(labels, server, tmp_path).cached == 4


def test_an_outage_ends_the_run_and_all_answers_stay(tmp_path):
    labels = table(40)
    with scripted_server(labels) as server:
        server.faults = [None] * 12 + [503] * 1000
        with pytest.raises(Unavailable, match="503: fault 503.*All answers so far are stored"):
            label(labels, server, tmp_path, retries=1)
        server.faults = []
        assert label(labels, server, tmp_path).cached == 10 and server.calls == 42


def test_one_text_that_the_server_cannot_answer_does_not_end_the_run(tmp_path):
    labels = table(20)
    poison = list(labels)[3]
    with scripted_server(labels) as server:
        refusal = server.refusal
        server.refusal = lambda body, key: (
            (500, {"message": "crash"}) if poison in body["messages"][0]["content"] else refusal(body, key)
        )
        answers = label(labels, server, tmp_path, retries=1)
        assert (answers.failed, answers.paid) == (1, 19) and np.isnan(answers.probabilities[3]).all()


def test_limits_a_minute_are_kept(tmp_path):
    labels = table(10)
    with scripted_server(labels) as server:
        label(labels, server, tmp_path / "a", requests_per_minute=1200, concurrency=8)
        assert np.diff(server.times).min() > 0.03
        server.times.clear()
        start = time.monotonic()
        label(labels, server, tmp_path / "b", tokens_per_minute=120_000, concurrency=8)
        assert 0.8 * (server.tokens["prompt"] / 2) / 2000 < time.monotonic() - start < 8
        server.most_at_once = 0
        server.delay = 0.1
        label(labels, server, tmp_path / "c", concurrency=3)
        assert 1 < server.most_at_once <= 3


# Wrong settings


def test_wrong_settings_are_named(tmp_path, monkeypatch, caplog):
    labels = table(3)
    caplog.set_level(logging.DEBUG)
    secret = "hush-hush-4711"
    with scripted_server(labels, key="another", model="m", context=60) as server:
        with pytest.raises(BadInput, match="refuses a call without a key .*OPENAI_API_KEY is not set"):
            label(labels, server, tmp_path)
        monkeypatch.setenv("OPENAI_API_KEY", secret)
        with pytest.raises(BadInput, match="refuses the key in the environment variable OPENAI_API_KEY") as error:
            label(labels, server, tmp_path)
        assert secret not in str(error.value) and "***" in str(error.value)
        monkeypatch.setenv("ANOTHER_NAME", secret)  # that does not look like the name of a secret
        monkeypatch.delenv("OPENAI_API_KEY")
        with pytest.raises(BadInput, match="variable ANOTHER_NAME") as error:
            label(labels, server, tmp_path, key="ANOTHER_NAME")
        assert secret not in str(error.value) and "***" in str(error.value)
        monkeypatch.setenv("OPENAI_API_KEY", "another")
        with pytest.raises(BadInput, match="does not know the model gpt-17 .label.model."):
            label(labels, server, tmp_path, model="gpt-17")
        with pytest.raises(BadInput, match="longer than the model's context .*Lower label.context, 8192 now"):
            label(labels, server, tmp_path)
        with pytest.raises(BadInput, match="label.url is not the address up to and including /v1"):
            label(labels, server.url.removesuffix("/v1"), tmp_path)
        server.context = 1000
        label(labels, server, tmp_path)
    assert secret not in caplog.text and "another" not in caplog.text
    stored = (tmp_path / FILE).read_text()
    assert secret not in stored and "another" not in stored
    monkeypatch.setenv("OPENAI_API_KEY", "clef-été")
    with pytest.raises(BadInput, match="characters that a header cannot have") as error:
        label(labels, server, tmp_path / "x")
    assert "clef" not in str(error.value)
    monkeypatch.delenv("OPENAI_API_KEY")
    for url in ("http://127.0.0.1:9/v1", "http://no-such-host.invalid/v1"):
        with pytest.raises(Unavailable, match="No server answers at label.url"):
            label(labels, url, tmp_path / "x")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"key": "sk-abc"}, "label.key must be the name of an environment variable in capital letters, not the key"),
        ({"url": "localhost:11434"}, "label.url must start with http"),
        ({"max_cost": 1.0}, "label.max_cost needs label.price.input"),
        ({"options": {"n": 3}}, "label.options must not have n"),
        ({"options": {"extra": [{"api_key": "sk-abc"}]}}, "label.options must not have api_key: parameters are stored"),
        ({"url": "http://me:sk-abc@host/v1"}, "label.url must have no user, password or query"),
        ({"url": "http://host/v1?key=sk-abc"}, "label.url must have no user, password or query"),
    ],
)
def test_wrong_parameters_are_refused_without_their_value(changes, message):
    with pytest.raises(ValueError, match=message) as error:
        settings("http://localhost/v1", **changes)
    assert "sk-abc" not in error.value.errors()[0]["msg"]


def test_options_are_part_of_each_request(tmp_path):
    with scripted_server(table(2)) as server:
        label(table(2), server, tmp_path, options={"reasoning_effort": "low"})
        assert all(body["reasoning_effort"] == "low" for body in server.requests)


# Answers that cannot be used


def test_unusable_answers_are_counted_and_too_many_end_the_run_with_examples(tmp_path):
    labels = table(100)
    with scripted_server(labels, odd=0.2) as server:
        answers = label(labels, server, tmp_path)
        unusable = np.isnan(answers.probabilities).all(1)
        assert answers.unusable == unusable.sum() > 10 and answers.paid == 100
        sent = len(server.requests)
        with pytest.raises(BadInput, match="unusable, more than label.max_unusable .0.1.* Examples: 'I would rather"):
            label(labels, server, tmp_path, max_unusable=0.1)
        assert len(server.requests) == sent


def test_a_text_that_the_content_filter_stops_is_unusable_and_not_sent_again(tmp_path):
    labels = table(5)
    with scripted_server(labels) as server:
        refusal = server.refusal
        server.refusal = lambda body, key: (
            (400, {"message": "filtered", "code": "content_filter"})
            if list(labels)[2] in body["messages"][0]["content"]
            else refusal(body, key)
        )
        for _ in range(2):
            answers = label(labels, server, tmp_path)
            assert answers.unusable == 1 and np.isnan(answers.probabilities[2]).all()
        assert len(server.requests) == 7
