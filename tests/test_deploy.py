"""The files of ``deploy/``: what a cluster or a server reads is at least valid YAML."""

import pytest
import yaml
from project import ROOT

FILES = [file for suffix in ("yaml", "json") for file in sorted((ROOT / "deploy").rglob(f"*.{suffix}"))]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_a_file_is_yaml_and_each_of_its_documents_has_keys(file):
    documents = list(yaml.safe_load_all(file.read_text(encoding="utf-8")))
    assert documents
    assert all(isinstance(document, dict) and document for document in documents)
