"""Files that are written whole, and digests of folders."""

import pytest

from stillhouse import provenance
from stillhouse.files import replacing


def test_a_file_is_replaced_whole_or_stays_as_it_was(tmp_path):
    file = tmp_path / "numbers.json"
    for content in ("old", "new"):
        with replacing(file) as partial:
            partial.write_text(content)
            assert file.exists() == (content == "new")  # nothing is replaced before the end
    with pytest.raises(KeyboardInterrupt), replacing(file) as partial:
        partial.write_text("half")
        raise KeyboardInterrupt
    assert file.read_text() == "new" and list(tmp_path.iterdir()) == [file]


def test_the_digest_of_a_folder_depends_on_names_and_contents(tmp_path):
    (tmp_path / "a.py").write_text("1")
    before = provenance.folder_md5(tmp_path, "*.py")
    (tmp_path / "note.txt").write_text("other")
    assert provenance.folder_md5(tmp_path, "*.py") == before != provenance.folder_md5(tmp_path)
    (tmp_path / "a.py").rename(tmp_path / "b.py")
    assert provenance.folder_md5(tmp_path, "*.py") != before
