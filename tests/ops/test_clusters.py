"""A study whose trials run on a cluster: Dask's, then Ray's, which goes on with what Dask's began."""

import re

import pytest


@pytest.mark.timeout(900)
def test_trials_run_on_dask_and_ray_and_go_on(project):
    search = {"student.network.architecture": ["resnet", "vgg"], "student.alpha": {"low": 0.5, "high": 1.0}}
    project.set(study__search=search)
    for count, runner, new in ((2, "dask", [0, 1]), (3, "ray", [2])):
        project.set(study__trials=count, study__runner=runner)
        done = project.python("-m", "flows.study")
        assert done.returncode == 0, done.stdout
        scored = re.findall(r"trial (\d+): score [01]\.\d+ with", done.stdout)
        assert sorted(map(int, scored)) == new, done.stdout  # those before are not run again
        assert len(re.findall(r"^\d+ +[01]\.\d+ ", done.stdout, re.MULTILINE)) == count
