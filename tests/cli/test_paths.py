from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from onecycle.cli.paths import check_writable, shown
from onecycle.errors import DataError


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


def test_the_current_folder_and_the_one_above_are_shown_in_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "photos").mkdir()
    monkeypatch.chdir(tmp_path / "photos")
    assert [shown(Path(place)) for place in (".", "..", "a/b")] == [str(tmp_path / "photos"), str(tmp_path), "a/b"]
