"""Every way in which DVC may link outputs to its cache."""

import pytest


@pytest.mark.timeout(900)
@pytest.mark.parametrize("kind", ["symlink", "hardlink", "copy"])
def test_the_chain_runs_on_outputs_that_are_links_into_the_cache(project, kind):
    for words in (["config", "cache.type", kind], ["checkout", "--relink", "--quiet"]):
        assert project.dvc(*words).returncode == 0
    file = project.folder / "outputs" / "compress" / "model" / "model.onnx"
    assert file.is_symlink() == (kind == "symlink") and (file.stat().st_nlink > 1) == (kind == "hardlink")
    project.set(compress__tolerance=0.006, evaluate__bootstrap=201, register__name=f"by-{kind}")
    done = project.flow()
    assert done.returncode == 0 and "Traceback" not in done.stdout, done.stdout
    assert f"by-{kind} version 1 (@champion)" in done.stdout
    assert "compress" in done.stdout.split("Took")[1] and "up to date" in project.dvc("status").stdout
