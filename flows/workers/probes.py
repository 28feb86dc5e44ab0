"""Train a linear probe on the pretrained teacher for each arm of ``flows.labels``: the baseline of its encoder.

``python -m flows.workers.probes <result> <arm's folder> ...`` runs in its own process. All arms have the same texts, so
each text is encoded once. It is not a DVC stage. For each folder it writes whether each test text is predicted
correctly.
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
    """Run the command. The flow starts it."""
    configure()
    end_with_guard()
    file, folders, params = Path(sys.argv[1]), sys.argv[2:], load_params()
    splits = {folder: [read_split(path(name, Path(folder))) for name in ("train", "test")] for folder in folders}
    texts = sorted({text for pair in splits.values() for split in pair for text in split["text"]})
    torch.manual_seed(params.seed)
    teacher = load_pretrained(params.teacher, label_names(next(iter(splits.values()))[0]))
    teacher.model.to(choose_device(params.device))
    if (found := head_and_inputs(teacher, texts)) is None:
        logger.warning("the teacher's head is not a linear layer on one vector: no linear probe is measured")
        write_json(file, {})
        return
    vectors = found[1]
    row_of = {text: row for row, text in enumerate(texts)}
    result = {}
    for folder, (train, test) in splits.items():
        inputs, test_inputs = (vectors[[row_of[text] for text in split["text"]]] for split in (train, test))
        predictions = fit_probe(inputs, labels_of(train), params.seed)[0].predict(test_inputs)
        result[folder] = (np.asarray(predictions) == labels_of(test)).astype(int).tolist()
    write_json(file, result)


if __name__ == "__main__":
    main()
