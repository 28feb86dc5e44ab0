"""A linear probe on the pretrained teacher for each arm of ``flows.labels``: the least that its encoder is good for.

``python -m flows.workers.probes <result> <arm's folder> ...``, in a process of its own; all arms have the same texts,
which are read once. No DVC stage: what it leaves is whether each test text was answered rightly, by folder.
"""

import logging
import sys
from pathlib import Path

import numpy as np
import torch

from stillhouse.data.splits import label_names, labels_of, read_split
from stillhouse.distillation.probe import fit_probe, head_and_inputs
from stillhouse.files import write_json
from stillhouse.models.device import choose_device
from stillhouse.models.pretrained import load_pretrained
from stillhouse.params import load_params
from stillhouse.pipeline.artefacts import path
from stillhouse.pipeline.leftovers import end_with_guard
from stillhouse.pipeline.log import configure

logger = logging.getLogger(__name__)


def main() -> None:
    """The command that the flow starts."""
    configure()
    end_with_guard()
    file, folders, params = Path(sys.argv[1]), sys.argv[2:], load_params()
    splits = {folder: [read_split(path(name, Path(folder))) for name in ("train", "test")] for folder in folders}
    texts = sorted({text for pair in splits.values() for split in pair for text in split["text"]})
    torch.manual_seed(params.seed)
    teacher = load_pretrained(params.teacher, label_names(next(iter(splits.values()))[0]))
    teacher.model.to(choose_device(params.device))
    if (found := head_and_inputs(teacher, texts)) is None:
        logger.warning("this teacher's head is no linear layer on one vector: there is no linear probe")
        write_json(file, {})
        return
    vectors = found[1]
    place = {text: row for row, text in enumerate(texts)}
    result = {}
    for folder, (train, test) in splits.items():
        learnt, asked = (vectors[[place[text] for text in split["text"]]] for split in (train, test))
        answers = fit_probe(learnt, labels_of(train), params.seed)[0].predict(asked)
        result[folder] = (np.asarray(answers) == labels_of(test)).astype(int).tolist()
    write_json(file, result)


if __name__ == "__main__":
    main()
