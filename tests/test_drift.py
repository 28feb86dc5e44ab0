"""Data that shrank or lost a class is refused; what moved is shown."""

import numpy as np
import pytest
from datasets import Dataset
from material import texts_and_labels, write_csv
from test_every_student import inside, run

from stillhouse.data.drift import SummaryStore, changes, refuse_loss, summarise
from stillhouse.data.splits import Split
from stillhouse.errors import BadInput
from stillhouse.params import load_params
from tasks import evaluate, prepare, soft_labels

NAMES = ["cooking", "sport", "weather"]
DATA = load_params().data


def look(rows: list[tuple[str, str]], unlabelled: int = 0) -> dict:
    texts, labels = zip(*rows, strict=True)
    split = Split(
        Dataset.from_dict({"text": texts}), np.arange(len(rows)), np.array([NAMES.index(label) for label in labels])
    )
    return summarise([split], NAMES, unlabelled)


WHOLE = look(texts_and_labels(300), unlabelled=100)


def allowed(**changes):
    return DATA.model_copy(update=changes)


def test_a_cut_off_export_is_refused_and_a_lost_class_too():
    refuse_loss(None, look(texts_and_labels(3)), DATA)  # the first time there is nothing to hold it against
    refuse_loss(WHOLE, look(texts_and_labels(300)), DATA)  # a quarter less
    with pytest.raises(BadInput, match=r"150 texts, 62% fewer than the last time \(400\).*raise data.max_shrink"):
        refuse_loss(WHOLE, look(texts_and_labels(150)), DATA)
    refuse_loss(WHOLE, look(texts_and_labels(150)), allowed(max_shrink=None))
    without = look([row for row in texts_and_labels(450) if row[1] != "sport"])
    with pytest.raises(BadInput, match=r"no text has the label sport any more.*data.lost_classes: keep"):
        refuse_loss(WHOLE, without, DATA)
    refuse_loss(WHOLE, without, allowed(lost_classes="keep"))


def test_changes_are_shown_in_numbers():
    same = {what: cells for what, *cells in changes(WHOLE, WHOLE)}
    assert same["texts"] == ["400", "400"] and not any(what.startswith("labelled") for what in same)
    other = look([(f"ganz andere Wörter {number}", "weather") for number in range(300)])
    rows = {what: cells for what, *cells in changes({**WHOLE, "confidence": 0.9}, {**other, "confidence": 0.5})}
    assert rows["texts"] == ["400", "300"] and rows["median words"] == ["11", "4"]
    known, unknown = rows["words that are not among the commonest of the last time"]
    assert float(known[:-1]) < 1 and float(unknown[:-1]) > 70
    assert rows["labelled weather"] == ["33.3%", "100.0%"] and rows["labelled sport"] == ["33.3%", "none"]
    assert rows["the teacher's mean confidence on the test texts"] == ["90.0%", "50.0%"]


def test_the_last_two_summaries_of_each_source_are_stored(tmp_path):
    memory, other = SummaryStore(tmp_path, DATA), SummaryStore(tmp_path, allowed(path="elsewhere"))
    assert memory.read() == {}
    memory.store(WHOLE)
    memory.add(confidence=0.9)
    memory.store(WHOLE)
    assert "before" not in memory.read() and memory.read()["now"]["confidence"] == 0.9
    memory.store(look(texts_and_labels(30)))
    assert memory.read()["now"]["texts"] == 30 and memory.read()["before"]["confidence"] == 0.9
    assert other.read() == {}
    next(tmp_path.iterdir()).write_text("{")
    assert memory.read() == {}


def test_a_cut_off_file_stops_the_run_and_changes_nothing(project):
    reviews, train = project.folder / "data" / "reviews.csv", project.folder / "outputs" / "prepare" / "train.arrow"
    before = train.read_bytes()
    with inside(project):
        write_csv(reviews, texts_and_labels(60))
        with pytest.raises(BadInput, match=r"^data: 60 texts, 83% fewer than the last time \(360\)\."):
            run(prepare)
        assert train.read_bytes() == before
        project.set(data__max_shrink=None)
        write_csv(reviews, texts_and_labels(120, seed=1))
        (project.folder / "dvc.lock").unlink()  # so that evaluate takes the models that there are
        for stage in (prepare, soft_labels, evaluate):
            run(stage)
    report = (project.folder / "outputs" / "evaluate" / "report.html").read_text()
    assert "Changes in the data" in report and "accuracy of the champion (version 1)" in report
