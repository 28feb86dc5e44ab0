"""One trial of a study: train a student with other settings on the soft labels, in its own process.

``python -m flows.workers.trial <number> <changes as JSON> <result>`` runs in a project whose stages up to
``soft_labels`` have run. It is not a DVC stage. It evaluates the student on validation or held-out texts, and writes
the numbers to the result file and to an MLflow run.
"""

import json
import logging
import sys
from pathlib import Path
from typing import Any

from stillhouse.data.vocabulary import load_vocabulary
from stillhouse.distillation.scratch import clear_scratch
from stillhouse.distillation.student import TrainingData, fit_student
from stillhouse.errors import StillhouseError
from stillhouse.files import write_json
from stillhouse.models.inherit import student_start
from stillhouse.params import Params
from stillhouse.pipeline.artefacts import path
from stillhouse.pipeline.leftovers import end_with_guard
from stillhouse.pipeline.log import configure
from stillhouse.study import changed
from stillhouse.tracking.runs import part_run


def run_trial(number: int, changes: dict[str, Any], params: Params, project: Path = Path()) -> dict[str, float]:
    """Train a student.

    Args:
        number: the number of the trial.
        changes: the changed parameters, by dotted key; for the MLflow run.
        params: the parameters, with the changes.
        project: the folder of the project.

    Returns:
        The numbers of the selected epoch, and the number of weights (``parameters``).
    """
    names = ("train", "validation", "heldout", "soft_labels/answers", "control/model")
    data = TrainingData(*(path(name, project) for name in names))
    tokenizer = load_vocabulary(path("control/model", project) / "tokenizer.json")
    words = path("soft_labels/words.npy", project)
    with part_run(params.tracking.experiment, "trial", f"trial {number}") as run:
        run.params(changes)
        fitted = fit_student(
            f"trial{number}",
            params,
            data,
            tokenizer,
            device=params.device,
            log=run,
            start=student_start(params.student.start, path("teacher/model", project), tokenizer, words),
        )
        clear_scratch(f"trial{number}")
        result = {"parameters": sum(p.numel() for p in fitted.student.network.parameters()), **fitted.selected}
        run.metrics({"final": result})
    return result


def main() -> None:
    """Run the command. The flow ``study`` starts it."""
    configure()
    end_with_guard()
    number, changes, file = int(sys.argv[1]), json.loads(sys.argv[2]), Path(sys.argv[3])
    file.parent.mkdir(parents=True, exist_ok=True)
    try:
        write_json(file, run_trial(number, changes, changed(changes)))
    except StillhouseError as error:
        write_json(file, {"message": str(error)})
        logging.getLogger(__name__).error("trial %d failed: %s", number, error)
        sys.exit(1)


if __name__ == "__main__":
    main()
