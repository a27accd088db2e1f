"""Large zips, with lengths of 64 bits, are laid out in another way."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from bundle.concurrent_writers import read_numbered
from bundle.endless_writer import write_numbered
from onecycle.bundle import zip_members
from onecycle.errors import BundleError


def test_a_zip_of_more_than_4_gb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit from which zipfile uses 64 bits is lowered instead."""
    path = tmp_path / "large.onecycle"
    monkeypatch.setattr(zipfile, "ZIP64_LIMIT", 1000)
    write_numbered(path, 7)
    monkeypatch.undo()
    assert b"PK\6\6" in path.read_bytes()
    assert read_numbered(path) == 7
    path.write_bytes(b"x" + path.read_bytes())
    with pytest.raises(BundleError, match=r"is not a (bundle|zip)"):
        read_numbered(path)


def test_a_list_of_files_that_would_take_much_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.onecycle"
    write_numbered(path, 7)
    monkeypatch.setattr(zip_members, "LARGEST_DIRECTORY", 50)
    with pytest.raises(BundleError, match=r"its list of files has \d+ bytes"):
        read_numbered(path)
