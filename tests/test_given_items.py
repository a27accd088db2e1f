"""Sequences of inputs as users have them: in their order, and refused where they have none."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from onecycle.errors import DataError
from onecycle.given_items import batches_of_given, contents_of_opened


def read(items: Any, batch_size: int = 2) -> list[list[Any]]:
    return list(batches_of_given(items, batch_size, lambda item: item))


@pytest.mark.parametrize("items", [
    ["a", "b", "c"],
    ("a", "b", "c"),
    (letter for letter in "abc"),
    np.array(["a", "b", "c"]),
    pa.array(["a", "b", "c"]),
    pa.chunked_array([["a"], ["b", "c"]]),
    pd.Series(["a", "b", "c"], index=[2, 0, 1]),
    pd.Series(["x", "a", "b", "c"])[1:],
    {"a": 1, "b": 2, "c": 3}.keys(),
])  # fmt: skip
def test_all_kinds_of_sequences_keep_their_order(items: Any) -> None:
    assert read(items) == [["a", "b"], ["c"]]


@pytest.mark.parametrize("items", [[], (), np.empty(0), pd.Series([], dtype=str), iter(())])
def test_none_are_none(items: Any) -> None:
    assert read(items) == []


def test_items_are_read_batch_by_batch() -> None:
    taken = []

    def letters() -> Iterator[str]:
        for letter in "abcd":
            taken.append(letter)
            yield letter

    assert next(batches_of_given(letters(), 2, str)) == ["a", "b"]
    assert taken == ["a", "b"]


@pytest.mark.parametrize(("items", "message"), [
    ("a.jpg", r"One path, 'a\.jpg'\.\nExpected a list of inputs\.\nFix: call predict\(path\), or pass \[path\]\."),
    (b"content", r"The bytes of one file\.\nExpected a list of inputs\.\nFix: call predict\(\) with it, or"),
    (3, r"The inputs are 3 \(int\)\.\nExpected a list of inputs\.\nFix: call predict\(\) for one input"),
    (None, r"The inputs are None \(NoneType\)\."),
    ({"a": 1}, r"The inputs are a dict, which predictions could not be told by\.\n.*\nFix: pass list\(\.\.\.\) of"),
    ({"a", "b"}, r"The inputs are a set, which has no order\."),
    (pd.DataFrame({"text": ["a"]}), r"The inputs are a DataFrame\.\n.*\nFix: pass one of its columns: table\['text'\]"),
    (pa.table({"text": ["a"]}), r"The inputs are a Table\.\n.*\nFix: pass one of its columns: table\['text'\]"),
])  # fmt: skip
def test_what_is_no_sequence_is_refused(items: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read(items)


@pytest.mark.parametrize("batch_size", [0, -1, 1.5, "2", None, True])
def test_a_batch_has_one_item_or_more(batch_size: Any) -> None:
    with pytest.raises(DataError, match=r"batch_size=.*\nExpected a whole number, 1 or more\.\nFix: pass"):
        read(["a"], batch_size)


def test_the_bad_one_of_several_is_named() -> None:
    def fail(item: str) -> str:
        if item == "bad":
            raise DataError("It is bad.", "a good one.", "replace it.", can_skip=True)
        return item

    with pytest.raises(DataError, match=r"^items\[2\]: It is bad\.\nExpected a good one\.\nFix: replace it\.$"):
        list(batches_of_given(["a", "b", "bad"], 2, fail))
    with pytest.raises(DataError, match=r"^It is bad\.\nExpected a good one\.\nFix: replace it\.$"):
        list(batches_of_given(["bad"], 2, fail))
    with pytest.raises(DataError, match=r"^items\[0\]: It is bad\."):
        list(batches_of_given(iter(["bad", "a"]), 2, fail))


def test_an_opened_file_is_read_from_its_beginning_however_often() -> None:
    opened = io.BytesIO(b"content")
    opened.read(3)
    assert [contents_of_opened(opened), contents_of_opened(opened)] == [b"content", b"content"]
    assert contents_of_opened("no file") == "no file"


def test_a_file_that_is_not_open_for_reading_is_refused(tmp_path: Path) -> None:
    closed = io.BytesIO(b"content")
    closed.close()
    with (tmp_path / "x").open("wb") as written:
        for opened in (closed, written):
            with pytest.raises(DataError, match=r"The opened file cannot be read: .*\n.*\nFix: pass its path, or open"):
                contents_of_opened(opened)
