"""Whose a registered name is: by digest, classes and store, and not by name and number."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
from mlflow.tracking import MlflowClient
from project import ROOT

from stillhouse.errors import BadInput
from stillhouse.params import load_params
from stillhouse.params.naming import name_of, source_of
from stillhouse.tracking import identity, registry, store
from stillhouse.tracking.ownership import PROJECT_TAG, check_owner, classes_of
from stillhouse.tracking.receipts import is_missing, receipt_of
from stillhouse.tracking.registry import DIGEST_TAG, PIPELINE, get_version
from tasks import promotion


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return tmp_path


def version(classes, alias="champion", name="topics", **tags):
    """A registered version whose files are a configuration alone."""
    experiment, client = store.connect("stillhouse"), MlflowClient()
    run = client.create_run(experiment).info.run_id
    client.log_text(run, json.dumps({"labels": classes}), "m/artifacts/model/config.json")
    if not client.search_registered_models(f"name = '{name}'"):
        client.create_registered_model(name)
    tags = {key.replace("__", "."): value for key, value in tags.items()}
    made = client.create_model_version(name, f"runs:/{run}/m", run, tags=tags)
    if alias:
        client.set_registered_model_alias(name, alias, made.version)
    return get_version(name, int(made.version))


def test_another_projects_champion_is_refused_with_what_to_do(here):
    version(["business", "sports"])
    with pytest.raises(BadInput) as refused:
        check_owner("topics", PIPELINE, ["cooking", "weather"], "files: data/a.csv (text, label)")
    for part in ("register.name: 'topics'", "mlflow.db", "version 1 (@champion)", "'business', 'sports'",
                 "'cooking', 'weather'", "Set register.name to another name"):  # fmt: skip
        assert part in str(refused.value)


def test_without_a_champion_the_newest_version_counts(here):
    version(["cooking"], alias=None)
    version(["business"], alias=None)
    with pytest.raises(BadInput, match="version 2 has the classes 'business'"):
        check_owner("topics", PIPELINE, ["cooking"], "sample")
    check_owner("free", PIPELINE, ["cooking"], "sample")


@pytest.mark.parametrize("classes", [["b", "a"], ["a", "b", "c"], ["a"], ["b", "c", "d", "e"]])
def test_classes_that_were_added_removed_or_moved_are_the_same_project(here, caplog, classes):
    version(["a", "b"], **{PROJECT_TAG: "sample"})
    check_owner("topics", PIPELINE, classes, "sample")
    assert not caplog.records


def test_the_same_classes_from_other_data_are_a_warning(here, caplog):
    version(["a", "b"], **{PROJECT_TAG: "sample"})
    check_owner("topics", PIPELINE, ["a", "b"], "hub: imdb (text, label)")
    assert "made from other data (sample; now hub: imdb (text, label))" in caplog.text


def test_files_that_are_gone_refuse_nothing(here):
    made = version(["a"])
    shutil.rmtree(here / "mlartifacts")
    assert classes_of(made) is None
    check_owner("topics", PIPELINE, ["b"], "sample")


def test_a_receipt_is_lost_in_another_store_under_another_name_or_with_another_digest(here, tmp_path, monkeypatch):
    made = version(["a", "b"], **{DIGEST_TAG: "abc"})
    (here / "model").mkdir()
    (here / "model" / "config.json").write_text('{"labels": ["a", "b"]}')
    receipt = here / "receipt.json"
    content = receipt_of(made, "abc", here / "model")
    assert content == {"name": "topics", "version": 1, "digest": "abc", "classes": ["a", "b"], "store": "mlflow.db"}
    receipt.write_text(json.dumps(content))
    assert not is_missing(receipt, "topics") and is_missing(receipt, "renamed")
    for change in ({"digest": "abd"}, {"version": 2}, {"store": "http://other:5000"}):
        receipt.write_text(json.dumps(content | change))
        assert is_missing(receipt, "topics"), change
    receipt.write_text(json.dumps(content))
    (tmp_path / "other").mkdir()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/other/mlflow.db")
    version(["x", "y"], **{DIGEST_TAG: "xyz"})  # version 1 there
    assert is_missing(receipt, "topics")
    for damaged in ("", "[]", '{"name": "topics"}'):  # DVC brings it back, or the stage runs
        receipt.write_text(damaged)
        assert not is_missing(receipt, "topics")


def test_a_store_is_named_without_user_and_password(here, monkeypatch):
    assert identity.store_name() == "mlflow.db"
    for address in ("http://alice:hush@host:5000", "http://host:5000/", "http://bob@host:5000?x=hush"):
        monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
        assert identity.store_name() == "http://host:5000"


@pytest.mark.parametrize("changed", ["classifier.py", "chunks.py", "mlflow_model.py", "model.onnx", "config.json"])
def test_the_serving_code_is_part_of_a_versions_digest(tmp_path, monkeypatch, changed):
    model, code = tmp_path / "model", tmp_path / "code"
    for folder, names in (
        (model, ("model.onnx", "config.json")),
        (code, ("classifier.py", "chunks.py", "mlflow_model.py")),
    ):
        folder.mkdir()
        for name in names:
            (folder / name).write_text(name)
    monkeypatch.setattr(identity, "SERVING", (code / "classifier.py", code / "chunks.py"))
    monkeypatch.setattr(identity, "SERVED", code / "mlflow_model.py")
    before = identity.model_digest(model)
    assert identity.model_digest(model) == before
    next(tmp_path.glob(f"*/{changed}")).write_text("corrected")
    assert identity.model_digest(model) != before


class Fixed:
    """A classifier that always answers the same."""

    def __init__(self, classes, answer):
        self.classes_, self.answer = np.array(classes, dtype=object), answer

    def predict(self, texts):
        return np.array([self.answer] * len(texts), dtype=object)


@pytest.mark.parametrize(
    ("theirs", "gap", "note"),
    [
        (["a", "b", "c"], -0.4, []),
        (["c", "b", "a"], -0.4, []),
        (["a", "b"], -0.5, ["on the 4 of 5 test texts whose classes it knows (new: c)"]),
        (["a", "b", "c", "z"], -0.4, ["on the 5 of 5 test texts whose classes it knows (removed: z)"]),
        (["z"], None, ["on the 0 of 5 test texts"]),
    ],
)
def test_a_champion_is_compared_on_texts_whose_class_it_knows(monkeypatch, tmp_path, theirs, gap, note):
    names = ["a", "b", "c"]
    loaded = {"mine": Fixed(names, "a"), "theirs": Fixed(theirs, "b")}  # right on 1 text of 5, and on 3
    monkeypatch.setattr(promotion.Classifier, "load", lambda folder: loaded[folder])
    monkeypatch.setattr(registry, "fetch_model", lambda *_: "theirs")
    labels = np.array([0, 1, 1, 2, 1])
    case = promotion.PromotionRequest(
        "mine", "compressed", None, "", PIPELINE, None, None, {}, 0, [], 0, list("12345"), labels, names, {}, []
    )
    found, notes = promotion._compare_with_champion(registry.Version("topics", 7, ()), case, names)
    assert (found and found.accuracy) == (gap and pytest.approx(gap))
    assert len(notes) == len(note) and all(part in text for part, text in zip(note, notes, strict=True))


SETTINGS = load_params(ROOT / "params.yaml").data.model_copy(update={"source": "files", "path": "data/reviews.csv"})


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("data/reviews.csv", "reviews"),
        ("my reviews.v2.tsv", "my-reviews-v2"),
        ("data/reviews.csv.gz", "reviews"),
        ("/srv/tickets/data", "tickets"),
        ("/srv/tickets/data/train.parquet", "tickets"),
        ("/data", "data"),
        ("отзывы.csv", "отзывы"),
        ("评论", "评论"),
    ],
)
def test_a_model_is_named_after_its_file_or_folder(path, name):
    assert name_of(SETTINGS.model_copy(update={"path": path})) == name


@pytest.mark.parametrize(
    "pair", [("😀.csv", "😃.csv"), ("हि.csv", "हु.csv"), ("x" * 200 + "a", "x" * 200 + "b"), ("a:b", "a?b")]
)
def test_names_that_cannot_be_written_stay_different_and_valid(pair):
    first, second = (name_of(SETTINGS.model_copy(update={"path": path})) for path in pair)
    assert first != second
    for name in (first, second):
        assert len(name) <= 100 and set(name) <= {c for c in name if c.isalnum() or c in "_-(),+"}


def test_mlflow_takes_names_of_any_script(here):
    for name in ("отзывы", "评论", name_of(SETTINGS.model_copy(update={"path": "हिन्दी"}))):
        made = version(["a"], name=name)
        assert registry.version_of(name, "champion") == replace(made, aliases=("champion",))
        assert classes_of(made) == ["a"]


def test_the_sample_and_hub_datasets_have_names(monkeypatch):
    sample, hub = SETTINGS.model_copy(update={"source": "sample"}), {"source": "hub", "hub_id": "fancyzhx/ag_news"}
    assert name_of(sample) == "bbc-news" and name_of(SETTINGS.model_copy(update=hub)) == "ag_news"
    assert source_of(sample) == "sample" and source_of(SETTINGS) == "files: data/reviews.csv (text, label)"
