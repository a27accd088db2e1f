"""Columns of Parquet files are copied once, anew where the file changes, and never where there is no room."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from onecycle.data.shards import arrow_copy as module
from onecycle.data.shards.arrow_copy import arrow_copy
from onecycle.data.shards.column import map_column
from onecycle.data.shards.source import open_file
from onecycle.errors import DataError


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ONECYCLE_CACHE", str(tmp_path / "cache"))
    pq.write_table(pa.table({"a": [b"x" * 40, None, b"", b"y"]}), tmp_path / "a.parquet", row_group_size=3)
    return tmp_path / "a.parquet"


def copies(path: Path) -> list[str]:
    return sorted(one.name for one in (path.parent / "cache/tables").glob("*.arrow"))


def test_a_copy_is_made_once_and_anew_where_the_file_changes(path: Path) -> None:
    first = arrow_copy(str(path), "a", open_file)
    assert map_column((first,)).column.to_pylist() == [b"x" * 40, None, b"", b"y"]
    state = Path(first).stat()
    assert arrow_copy(str(path), "a", open_file) == first
    assert Path(first).stat() == state
    pq.write_table(pa.table({"a": [b"other"]}), path)
    second = arrow_copy(str(path), "a", open_file)
    assert map_column((second,)).column.to_pylist() == [b"other"]
    assert copies(path) == [Path(second).name]


def test_nothing_is_left_of_a_copy_that_fails(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:20])
    with pytest.raises(DataError, match=r"The shard .*a\.parquet is damaged"):
        arrow_copy(str(path), "a", open_file)
    assert copies(path) == []


def test_without_room_nothing_is_copied(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module.shutil, "disk_usage", lambda folder: SimpleNamespace(free=50))
    with pytest.raises(DataError, match=r"The items of .*a\.parquet take 0 MB, and .* has room for 0 MB") as error:
        arrow_copy(str(path), "a", open_file)
    assert "ONECYCLE_CACHE to another folder, or use from_shards()" in error.value.fix
    assert copies(path) == []
