"""Labels from a file, through all stages of the chain."""

import json

import pytest
from material import texts_and_labels, write_csv
from test_every_student import inside, run

from stillhouse.errors import BadInput
from stillhouse.pipeline.artefacts import path
from tasks import compress, control, evaluate, label, prepare, register, soft_labels, student, teacher


def read(name):
    return json.loads(path(name).read_text(encoding="utf-8"))


@pytest.fixture
def few(project):
    """A project with 12 labels a class; the stages are run without DVC."""
    project.set(data__labels_per_class=12, label__source="file", label__path="data/vendor.csv", teacher__finetune=False)
    project.set(label__text_column="review", label__label_column="topic", student__training__epochs=4)
    project.set(teacher__cotraining=3, soft_labels__second_teachers=2)
    (project.folder / "dvc.lock").write_text("schema: '2.0'\n")
    return project


def test_labels_of_a_file_go_through_all_stages(few, caplog):
    rows = texts_and_labels(360)
    topics = sorted({topic for _, topic in rows})
    wrong = {topic: topics[number - 1] for number, topic in enumerate(topics)}
    answers = [(text, wrong[topic] if number % 10 == 0 else topic) for number, (text, topic) in enumerate(rows)]
    caplog.set_level("INFO")
    with inside(few):
        write_csv(few.folder / "data" / "vendor.csv", answers[:200])
        for stage in (prepare, label, control, teacher, soft_labels, student, compress, evaluate, register):
            run(stage)
        numbers, found = read("label/metrics.json"), read("evaluate/metrics.json")
        taught = read("soft_labels/metrics.json")
        report = path("evaluate/report.html").read_text(encoding="utf-8")
    assert numbers["source"] == "a file" and 100 < numbers["texts"] < 200 and numbers["audit"]["texts"] > 10
    assert f"data/vendor.csv has labels for {numbers['texts']} of" in caplog.text
    assert taught["machine_labels"] == numbers["texts"] and taught["second_teachers"] == 2
    assert "second teacher 1 of 2" in caplog.text  # the control learnt from the labels of people alone
    assert "teacher without the added labels" in found["models"] and found["machine"]["weight"] == 1
    assert found["machine"]["test"]["texts"] > 10 and f"{numbers['texts']} texts without a label got one" in report


def test_a_file_without_a_text_of_the_data_is_refused(few):
    with inside(few):
        write_csv(few.folder / "data" / "vendor.csv", [("a text of another project", "sport")])
        run(prepare)
        with pytest.raises(BadInput, match=r"has a label for no text of the data .*Does label.text_column, 'review'"):
            run(label)
