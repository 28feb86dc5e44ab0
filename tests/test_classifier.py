"""The compressed student: the same answers as the trained one, with scikit-learn's interface."""

import copy
import json
import pickle
import shutil
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stillhouse.serving.classifier import Classifier


@pytest.fixture(scope="module")
def classifier(finished):
    return Classifier.load(finished.folder / "outputs" / "compress" / "model")


def test_it_predicts_labels_and_probabilities(classifier):
    texts = ["goal match team", "flour butter oven", "rain wind storm"]
    assert list(classifier.predict(texts)) == ["sport", "cooking", "weather"]
    probabilities = classifier.predict_proba(texts)
    assert probabilities.shape == (3, 3) and list(classifier.classes_) == ["cooking", "sport", "weather"]
    np.testing.assert_allclose(probabilities.sum(1), 1, rtol=1e-5)


def test_a_texts_answer_does_not_depend_on_its_neighbours(classifier):
    texts = ["goal", "butter " * 500, "", "rain \x00 wind", "雨", "storm and " * 20] * 9
    together = classifier.predict_proba(texts)
    alone = np.concatenate([classifier.predict_proba([text]) for text in texts])
    np.testing.assert_allclose(together, alone, atol=1e-5)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(texts=st.lists(st.text(st.characters(exclude_categories=()), max_size=200), max_size=40))
def test_any_texts_are_answered_each_as_if_alone(classifier, texts):
    together = classifier.predict_proba(texts)
    assert together.shape == (len(texts), 3) and np.isfinite(together).all()
    np.testing.assert_allclose(together.sum(1), 1, rtol=1e-5)
    for text, answer in zip(texts, together, strict=True):
        np.testing.assert_allclose(classifier.predict_proba([text])[0], answer, atol=1e-5)


def test_of_a_long_text_only_the_beginning_is_tokenized_and_the_answer_is_that_of_the_whole(classifier):
    texts = [
        "goal " * 5000,
        "x " * 5000 + "rain",
        "storm" * 3000,
        "wind" + " " * 9000 + "snow",
        "é" * 50 + " sun" * 400,
    ]
    whole = [" ".join(text[:20_000].split()) for text in texts]
    np.testing.assert_array_equal(classifier.predict_proba(texts), classifier.predict_proba(whole))
    assert classifier.predict_proba(["rain " * 200_000, "\x00\x07 \ud83d", "x" * 1_000_000]).shape == (3, 3)


def test_it_starts_within_a_second_and_loads_nothing_heavy(finished):
    code = "import time; start = time.perf_counter(); import sys\n"
    code += "from stillhouse.serving.classifier import Classifier\n"
    code += "label = Classifier.load('outputs/compress/model').predict(['goal match team'])[0]\n"
    code += "seconds = time.perf_counter() - start\n"
    code += "heavy = {'torch', 'transformers', 'mlflow', 'prefect', 'dvc', 'pandas', 'sklearn'} & sys.modules.keys()\n"
    code += "import json; print(json.dumps([label, seconds, sorted(heavy)]))"
    message = [json.loads(finished.run(sys.executable, "-c", code).stdout.splitlines()[-1]) for _ in range(3)]
    assert message[0][0] == "sport" and message[0][2] == []
    assert min(seconds for _, seconds, _ in message) < 1


FORKED = """
import multiprocessing, os, signal, threading
from stillhouse.serving.classifier import Classifier
classifier = Classifier.load('outputs/compress/model', threads=2)
texts = [f'goal match team {n} word{n}' for n in range(1500)]
right, busy = classifier.predict_proba(texts), True

def work():
    for n in range(10**6):
        if not busy: return
        classifier.predict_proba([f'new{n} {m}' for m in range(600)])

threads = [threading.Thread(target=work) for _ in range(2)]
[thread.start() for thread in threads]
statuses = []
for _ in range(3):
    child = os.fork()
    if child == 0:
        signal.alarm(20)
        os._exit(0 if (classifier.predict_proba(texts) == right).all() else 3)
    statuses.append(os.waitpid(child, 0)[1])
busy = False
[thread.join() for thread in threads]
with multiprocessing.get_context('fork').Pool(2) as pool:
    answers = pool.map_async(classifier.predict_proba, [texts] * 3).get(60)
print(statuses, all((answer == right).all() for answer in answers), (classifier.predict_proba(texts) == right).all())
"""


@pytest.mark.parametrize("parallel", ["", "true"])
def test_it_works_in_a_process_that_was_forked_while_it_was_in_use(finished, parallel):
    variables = {"TOKENIZERS_PARALLELISM": parallel} if parallel else {}
    done = finished.run(sys.executable, "-c", FORKED, timeout=120, **variables)
    assert done.returncode == 0 and "[0, 0, 0] True True" in done.stdout, done.stdout


def test_it_can_be_pickled_and_copied(classifier):
    texts = ["goal match team", "flour butter oven"] * 300
    for other in (pickle.loads(pickle.dumps(classifier)), copy.copy(classifier), copy.deepcopy(classifier)):
        np.testing.assert_array_equal(other.predict_proba(texts), classifier.predict_proba(texts))


def test_what_is_not_a_list_of_strings_is_refused(classifier):
    assert classifier.predict_proba([]).shape == (0, 3)
    with pytest.raises(TypeError, match="not one string"):
        classifier.predict("goal")
    with pytest.raises(TypeError, match="text 1 is NoneType"):
        classifier.predict(["goal", None])


@pytest.mark.parametrize("name", ["model.onnx", "tokenizer.json", "chunks.json"])
def test_a_damaged_or_missing_file_is_named_and_not_used(finished, tmp_path, name):
    model = shutil.copytree(finished.folder / "outputs" / "compress" / "model", tmp_path / "model")
    content = bytearray((model / name).read_bytes())
    content[len(content) // 2] ^= 1
    (model / name).chmod(0o644)
    (model / name).write_bytes(content)
    with pytest.raises(ValueError, match=f"{name} is damaged"):
        Classifier.load(model)
    (model / name).unlink()
    with pytest.raises(FileNotFoundError, match=name):
        Classifier.load(model)


def test_a_folder_of_before_is_refused_with_what_to_do(finished, tmp_path):
    model = shutil.copytree(finished.folder / "outputs" / "compress" / "model", tmp_path / "model")
    (model / "config.json").chmod(0o644)
    (model / "config.json").write_text('{"labels": ["a", "b"], "max_length": 8}')
    with pytest.raises(ValueError, match="earlier version"):
        Classifier.load(model)
