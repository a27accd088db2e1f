"""Columns in memory, and large ones in files that are deleted with them."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from onecycle.text.storage import build_column

ARRAYS = [pa.array(range(start, start + 100)) for start in range(0, 500, 100)]


def test_a_small_column_is_in_memory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ONECYCLE_CACHE", str(tmp_path / "cache"))
    assert build_column(iter(ARRAYS), pa.int64()).to_pylist() == list(range(500))
    assert not (tmp_path / "cache").exists()


def test_no_array_makes_an_empty_column() -> None:
    column = build_column([], pa.list_(pa.int32()))
    assert (len(column), column.type) == (0, pa.list_(pa.int32()))


def test_a_large_column_is_in_a_file_that_is_deleted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ONECYCLE_CACHE", str(tmp_path / "cache"))
    before = pa.total_allocated_bytes()
    column = build_column((pa.array(range(10_000)) for _ in range(20)), pa.int64(), max_bytes=100_000)
    assert pa.total_allocated_bytes() - before < 20 * 10_000 * 8 / 2
    assert (tmp_path / "cache").is_dir()
    assert list((tmp_path / "cache").iterdir()) == []
    assert column.to_pylist() == list(range(10_000)) * 20
