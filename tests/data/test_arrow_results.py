"""What all results that are Arrow tables have in common."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from onecycle.data.arrow_results import ArrowResult
from onecycle.errors import DataError


@dataclass
class Found(ArrowResult):
    table: pa.Table


@pytest.fixture
def found() -> Found:
    return Found(pa.table({"item": ["a/file_1.jpg", "file_2.jpg"], "loss": [0.5, 2.5]}))


READERS = [pa.table, pl.DataFrame, getattr(pd.DataFrame, "from_arrow", lambda table: pa.table(table).to_pandas())]


@pytest.mark.parametrize("read", READERS, ids=["arrow", "polars", "pandas"])
def test_others_read_it_as_it_is(found: Found, read: Any) -> None:
    table = read(found)
    items = table["item"].to_pylist() if isinstance(table, pa.Table) else list(table["item"])
    assert items == ["a/file_1.jpg", "file_2.jpg"]


def test_it_becomes_a_frame_of_pandas_or_polars_or_an_arrow_table(found: Found) -> None:
    assert len(found) == 2
    for frame in (found.to_pandas(), found.to_polars()):
        assert list(frame.columns) == ["item", "loss"]
        assert list(frame["item"]) == ["a/file_1.jpg", "file_2.jpg"]
    assert isinstance(found.to_pandas(), pd.DataFrame)
    assert isinstance(found.to_polars(), pl.DataFrame)
    assert found.to_arrow() is found.table


def test_a_package_that_is_missing_is_named_and_the_fix_works(found: Found, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "polars", None)
    with pytest.raises(DataError, match=r"polars is not installed\.[\s\S]*Fix: pip install polars, or use to_"):
        found.to_polars()
    assert found.to_arrow().num_rows == 2
