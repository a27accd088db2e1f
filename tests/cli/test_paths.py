from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from onecycle.cli.paths import check_writable, expand_inputs
from onecycle.errors import DataError


class Files:
    """A modality whose items are the files of a folder."""

    def __init__(self, reads_text_directly: bool) -> None:
        self.reads_text_directly = reads_text_directly

    def find_items(self, folder: Path) -> list[str]:
        return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("b.txt", "a.txt"):
        (tmp_path / "items" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "items" / name).touch()
    return tmp_path / "items"


class TestInputs:
    @pytest.mark.parametrize("direct", [True, False])
    def test_folders_are_replaced_by_their_items(self, folder: Path, direct: bool) -> None:
        found = expand_inputs([str(folder), str(folder / "b.txt")], Files(direct))
        assert found == [folder / "a.txt", folder / "b.txt", folder / "b.txt"]

    def test_what_is_no_file_is_a_text_where_the_modality_reads_texts(self) -> None:
        long = "Größe " * 1000  # no file system has names as long
        for text in ("What a film!", long, "a\0b", ""):
            assert expand_inputs([text], Files(True)) == [text]

    def test_what_is_no_file_is_a_missing_file_elsewhere(self) -> None:
        assert expand_inputs(["none.jpg"], Files(False)) == [Path("none.jpg")]


class TestWritable:
    def test_nothing_is_left_behind(self, tmp_path: Path) -> None:
        check_writable(tmp_path / "a" / "b")
        assert list(tmp_path.iterdir()) == []

    def test_a_file_in_the_way(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        out = tmp_path / "file" / "run"
        message = (
            f"^Cannot write to {re.escape(str(out))}: {re.escape(str(tmp_path / 'file'))} is a file\\.\n"
            "Expected a folder that can be written to\\.\nFix: pass another --out\\.$"
        )
        with pytest.raises(DataError, match=message):
            check_writable(out)

    def test_a_folder_without_permission(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(os, "access", lambda path, mode: False)
        with pytest.raises(DataError, match=r"is not writable\.\nExpected"):
            check_writable(tmp_path)
