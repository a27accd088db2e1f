"""Numbers of classes become the names that a table's schema says."""

from __future__ import annotations

import json
from typing import Any

import pyarrow as pa
import pytest

from onecycle.data.class_labels import with_class_names
from onecycle.errors import DataError

NAMES = {"_type": "ClassLabel", "names": ["cat", "dog"]}


def table_of(column: pa.Array, feature: Any) -> pa.Table:
    metadata = {"huggingface": json.dumps({"info": {"features": {"label": feature}}})}
    return pa.table({"label": column}).replace_schema_metadata(metadata)


@pytest.mark.parametrize("type", [pa.int8(), pa.int64(), pa.uint8()])
def test_numbers_become_names(type: pa.DataType) -> None:
    column = pa.array([1, 0, None], type)
    assert with_class_names(table_of(column, NAMES))["label"].to_pylist() == ["dog", "cat", None]


def test_minus_one_is_no_label() -> None:
    assert with_class_names(table_of(pa.array([-1, 1]), NAMES))["label"].to_pylist() == [None, "dog"]


@pytest.mark.parametrize("type", [pa.list_(pa.int64()), pa.large_list(pa.int16()), pa.list_(pa.int64(), 2)])
@pytest.mark.parametrize(
    "feature",
    [{"_type": "Sequence", "feature": NAMES}, {"_type": "List", "feature": NAMES, "length": 2}, [NAMES]],
    ids=["Sequence", "List", "list"],
)
def test_lists_of_numbers_become_lists_of_names(type: pa.DataType, feature: Any) -> None:
    table = table_of(pa.array([[0, 1], None, [1, 1]], type), feature)
    assert with_class_names(table)["label"].to_pylist() == [["cat", "dog"], None, ["dog", "dog"]]


@pytest.mark.parametrize(
    ("column", "feature"),
    [
        (pa.array(["0", "1"]), NAMES),
        (pa.array([0.5, 1.5]), NAMES),
        (pa.array([0, 1]), {"_type": "Value", "dtype": "int64"}),
        (pa.array([[0], [1]]), [NAMES, NAMES]),
        (pa.array([[0], [1]]), "List"),
        (pa.array([0, 1]), {"_type": "ClassLabel", "names": "catdog"}),
    ],
)
def test_anything_else_stays_as_it_is(column: pa.Array, feature: Any) -> None:
    assert with_class_names(table_of(column, feature))["label"].combine_chunks() == column


def test_a_number_without_a_name_is_told_and_the_fix_leaves_the_numbers() -> None:
    table = table_of(pa.array([0, 2]), NAMES)
    with pytest.raises(DataError, match=r"Column 'label' holds 2\.\nExpected numbers from 0 to 1, of the") as error:
        with_class_names(table)
    assert "table.replace_schema_metadata(None)" in error.value.fix
    assert with_class_names(table.replace_schema_metadata(None))["label"].to_pylist() == [0, 2]
