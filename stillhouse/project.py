"""The folders of a project, relative to its root."""

from pathlib import Path

OUTPUTS = Path("outputs")  # results of stages
STATE = Path(".stillhouse")  # locks, checkpoints and notes of runs; not a result
DATA_SUMMARIES = STATE / "portraits"  # statistics of the data at the last runs, one folder for each source
MODEL_ANSWERS = STATE / "answers"  # paid answers of language models; only the user removes them
