"""Items as rows of an Arrow table."""

from pathlib import Path

import pyarrow as pa
import pytest

from onecycle.data.rows import ITEM, LABEL, Rows
from onecycle.errors import DataError


def test_a_missing_column_lists_those_there_and_the_nearest() -> None:
    rows = Rows(pa.table({ITEM: ["1"], LABEL: ["x"], "tags": ["a"], "kind": ["b"]}))
    with pytest.raises(DataError, match=r"no column 'tag'.\nExpected one of: tags, kind.\nFix: .* Did you mean 'tags'"):
        rows.column("tag")


def test_onecycles_own_columns_are_not_the_users() -> None:
    with pytest.raises(DataError, match="no column '#label'"):
        Rows(pa.table({ITEM: ["1"], LABEL: ["x"]})).column(LABEL)


def test_a_rows_locates_files_below_its_root_and_leaves_other_inputs_alone() -> None:
    table = pa.table({ITEM: ["a/1.jpg"]})
    assert Rows(table, Path("/data")).locate("a/1.jpg") == "/data/a/1.jpg"
    assert Rows(table).locate("any text") == "any text"


def test_taking_rows_leaves_the_rows_as_it_was() -> None:
    rows = Rows(pa.table({ITEM: ["1", "2", "3"]}))
    assert rows.take([2, 0]).names() == ["3", "1"]
    assert rows.names() == ["1", "2", "3"]
