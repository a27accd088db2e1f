"""Whole files in a column of an Arrow table."""

from __future__ import annotations

import pickle

import pyarrow as pa
import pytest

from onecycle.data.shards.column import ColumnShards, SharedColumn
from onecycle.data.shards.source import Place
from onecycle.errors import DataError

CHUNKS = [[b"a", b"b"], [], [b"c", None], [b""]]


@pytest.fixture(params=["binary", "large_binary", "struct"])
def column(request: pytest.FixtureRequest) -> pa.ChunkedArray:
    if request.param != "struct":
        return pa.chunked_array(CHUNKS, getattr(pa, request.param)())
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    return pa.chunked_array([[{"bytes": data, "path": "x"} for data in chunk] for chunk in CHUNKS], kind)


def test_any_row_is_read(column: pa.ChunkedArray) -> None:
    shards = ColumnShards(("a", "b"), 1, column=SharedColumn(column), starts=(0, 2))
    read = [shards.read(Place(row // 2 if row < 4 else 1, row, 1), "n") for row in (2, 0, 1, 4)]
    assert [one.data for one in read] == [b"c", b"a", b"b", b""]
    assert [one.name for one in read] == ["n (row 0)", "n (row 0)", "n (row 1)", "n (row 2)"]
    assert shards.read(Place(0, 0, 1), "x/row 0").name == "x/row 0"
    assert SharedColumn(column).missing().tolist() == [False, False, False, True, False]
    with pytest.raises(DataError, match=r"n \(row 1\) has no bytes\.\nExpected the bytes of a file in every row"):
        shards.read(Place(1, 3, 1), "n")


def test_a_null_struct_and_a_part_of_a_column_are_read(column: pa.ChunkedArray) -> None:
    part = SharedColumn(column.slice(1, 3))
    assert [part[row].as_py() for row in range(3)] == [b"b", b"c", None]
    null = SharedColumn(pa.chunked_array([[None, {"bytes": b"a"}]], pa.struct([("bytes", pa.binary())])))
    assert null.missing().tolist() == [True, False]
    assert (null[0].as_py(), null[1].as_py()) == (None, b"a")


def test_a_column_survives_pickling(column: pa.ChunkedArray) -> None:
    copied = pickle.loads(pickle.dumps(SharedColumn(column)))
    assert copied.column == column
