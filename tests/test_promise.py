"""A promise about the answers: registered by DVC alone, served, scored with, audited. And back to what was before."""

import json
import re
import subprocess

import numpy as np
import pandas as pd
from material import texts_and_labels
from project import Project
from test_deferring import filled
from test_end_to_end import ALL, ran

from stillhouse.evaluation.confidence import read_statements

VERSION = """
alone = client.search_runs([experiment], "tags.`stillhouse.kind` = 'stage'")
newest = max(client.search_model_versions("name = 'topics'"), key=lambda version: int(version.version))
aliases = client.get_model_version('topics', newest.version).aliases
print(json.dumps([sum('mlflow.parentRunId' not in run.data.tags for run in alone), newest.version, *aliases]))"""


def test_dvc_alone_registers_a_promise_that_is_scored_with_and_audited_and_the_flow_then_does_nothing(project):
    repro = project.dvc("repro")
    assert repro.returncode == 0 and ran(repro.stdout) == [] and "up to date" in repro.stdout
    messages = project.folder / "messages.txt"
    project.set(compress__quantisation="int8", register__answered_accuracy=0.8, flow__heartbeat="sh heartbeat.sh")
    (project.folder / "heartbeat.sh").write_text(f'echo "$1" >> {messages}')
    done = project.dvc("repro")
    assert done.returncode == 0 and ran(done.stdout) == ["compress", "evaluate", "register"], done.stdout
    assert "register.answered_accuracy" in done.stdout
    alone, number, alias = json.loads(project.mlflow(VERSION))
    assert (alone, number) == (3, 2)
    is_registered(project)
    score_and_audit(project, alias)

    again = project.flow()
    assert again.returncode == 0 and ran(again.stdout) == [], again.stdout
    assert again.stdout.count("no dependency changed") == len(ALL) and "so no stage ran" in again.stdout
    assert messages.read_text() == "topics: a run succeeded; version 2 is the newest\n"
    # DVC has the old result, and the registry has its version; only the report is of another one.
    project.set(compress__quantisation="int8_static", register__answered_accuracy=None)
    back = project.flow()
    assert back.returncode == 0 and ran(back.stdout) == ["evaluate"], back.stdout
    assert "outputs restored" in back.stdout and "topics version 1" in back.stdout
    words = ["git", "status", "--porcelain", "--", ".", *(f":!{name}" for name in MINE)]
    changed = subprocess.run(words, cwd=project.folder, capture_output=True, text=True, check=True).stdout
    # Links to the project's data and teacher are in the place of files; they are relative, and committed like dvc.lock.
    assert set(changed.split()) <= {"??", "dvc.lock", "T", "inputs/data", "inputs/teacher"}, changed


MINE = ["params.yaml", "first-run.log", "heartbeat.sh", "notify.sh", "*.txt", "in.csv", "out.csv*"]


def is_registered(project: Project) -> None:
    """The threshold is in the report, in the certificate and in what is served."""
    evaluated, registered = project.folder / "outputs" / "evaluate", project.folder / "outputs" / "register"
    [demanded] = [one for one in read_statements(evaluated / "certificate.json") if one.demanded]
    config = json.loads((registered / "model" / "config.json").read_text())
    assert demanded.certificate.wanted == 0.8 and config["min_confidence"] == demanded.certificate.min_confidence
    assert config["promises"] == {"labels": 0.8}
    cascade = json.loads((evaluated / "metrics.json").read_text())["cascade"]
    assert 0 <= cascade["deferred"] < 1 and cascade["texts"] > 0 and (evaluated / "cascade.png").exists()
    report = (evaluated / "report.html").read_text()
    assert "The registered model has the threshold" in report and "Cascade: the student first" in report


def score_and_audit(project: Project, alias: str) -> None:
    """The teacher answers what the student defers; labels of people tell whether the promise still holds."""
    truth = dict(texts_and_labels(300, seed=5))
    pd.DataFrame({"text": list(truth)}).to_csv(project.folder / "in.csv", index=False)
    options = ["--alias", alias, "--min-confidence", "0.9", "--defer-to", "teacher", "--audit", "0.9"]
    done = project.python("-m", "flows.score", "in.csv", "out.csv", *options)
    assert done.returncode == 0, done.stdout
    scored = pd.read_csv(project.folder / "out.csv")
    assert (scored["answered_by"] == np.where(scored["deferred"], "teacher", "student")).all()
    assert scored["deferred"].any() and (scored["label"] == list(truth.values())).mean() > 0.9
    sheet = project.folder / "out.csv.audit.csv"
    assert re.search(rf"{re.escape(sheet.name)}: {scored['audited'].sum()} texts without a label", done.stdout)
    filled(sheet, truth)
    good = project.python("-m", "flows.audit", sheet.name)
    assert good.returncode == 0 and "The promise still holds" in good.stdout, good.stdout
    filled(sheet, dict.fromkeys(truth, "sport"))  # the labels of another world
    project.set(flow__notify="sh notify.sh")
    (project.folder / "notify.sh").write_text('echo "$1" > broken.txt')
    bad = project.python("-m", "flows.audit", sheet.name, "--notify")
    assert bad.returncode == 3 and "The promise is broken" in bad.stdout, bad.stdout
    assert "The promise is broken" in (project.folder / "broken.txt").read_text()
