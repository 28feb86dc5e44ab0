"""The same results under any PYTHONHASHSEED: no order of a set reaches one."""

import hashlib
import os
import subprocess
import sys

from project import ROOT

CODE = """
import hashlib, json, random, sys
from pathlib import Path
import numpy as np
sys.path.insert(0, "tests")
from scripts import corpus
from stillhouse.serving.chunks import Chunks, commonest
from stillhouse.data.terms import analyser
from stillhouse.data.transfer import altered
from stillhouse.data.vocabulary import learn_vocabulary
from stillhouse.distillation.cotraining import bag_of_words, cotrain
from stillhouse.distillation.logistic import fit
from stillhouse.evaluation.baseline import TfidfSvm
from stillhouse.params import Augment, Vocabulary
from stillhouse.data.cleaning import _ordered
print(_ordered({"1", "01", "001", "0001", "2"}))
for name in ("Chinese", "digits", "mixed"):
    texts, labels = corpus(name, 60)
    tokenizer = learn_vocabulary(texts, Vocabulary(pieces=200, min_frequency=1, lowercase=True))
    svm = TfidfSvm(0).fit(texts, labels)
    features = np.eye(3)[labels].astype(np.float32)
    probe = cotrain(fit(features[:12], labels[:12], 1.0), bag_of_words(texts), features, labels[:12], 2)
    settings = Augment(folds=1, mask=0.1, drop=0.1, ngram=0.5, ngram_words=8)
    parts = [
        tokenizer.to_str(),
        commonest(texts, 10),
        [row.hex() for row in Chunks(tokenizer, 64).ids(texts)],
        [analyser(texts)(text) for text in texts],
        list(altered(texts, settings, random.Random(0))),
        svm.classifier.coef_.tobytes().hex(),
        probe.coef_.tobytes().hex(),
    ]
    print(name, *(hashlib.md5(json.dumps(part).encode()).hexdigest() for part in parts))
"""


def test_vocabulary_terms_copies_and_simple_models_are_the_same_under_any_hash_seed():
    def digests(seed):
        environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)}
        environment |= {"OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
        command = [sys.executable, "-c", CODE]
        return subprocess.check_output(command, cwd=ROOT, env=environment, text=True)

    one, other = digests("1"), digests("2")
    assert len(one.splitlines()) == 4 and one == other, hashlib.md5(one.encode()).hexdigest()
