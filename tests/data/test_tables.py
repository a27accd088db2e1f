"""Tables of any library and CSV files as Arrow tables."""

from pathlib import Path
from typing import Any

import pytest

from onecycle.data.tables import as_table, missing_column, read_csv
from onecycle.errors import DataError


@pytest.mark.parametrize("rows", [[("a.jpg", "cat")], {"image": ["a.jpg"]}, None])
def test_what_is_no_table_is_refused(rows: Any) -> None:
    message = rf"Cannot read a table from {type(rows).__name__}.\nExpected .*pandas, polars, pyarrow.*\nFix: convert it"
    with pytest.raises(DataError, match=message):
        as_table(rows)


@pytest.mark.parametrize(
    "content",
    [
        b"image,tags\n007,a b\n008,\n",
        b"\xef\xbb\xbfimage,tags\n007,a b\n008,\n",
        b"image,tags\r\n007,a b\r\n008,\r\n",
        b'"image","tags"\n"007","a b"\n"008",""\n',
        b"image,tags\n007,a b\n008,",
    ],
    ids=["plain", "byte-order mark", "CRLF", "quoted", "no last newline"],
)
def test_a_csv_is_read_as_text(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_bytes(content)
    assert read_csv(tmp_path / "labels.csv").to_pydict() == {"image": ["007", "008"], "tags": ["a b", ""]}


def test_a_csv_may_hold_newlines_in_quotes_and_another_separator(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_bytes(b'image;tags\n1;"a\nb"\n')
    assert read_csv(tmp_path / "labels.csv", separator=";").to_pydict() == {"image": ["1"], "tags": ["a\nb"]}


def test_newlines_in_quotes_survive_between_blocks(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text("image,tags\n" + '1,"a\nb"\n' * 200_000)
    assert set(read_csv(tmp_path / "labels.csv")["tags"].to_pylist()) == {"a\nb"}


def test_numbers_late_in_a_csv_stay_text(tmp_path: Path) -> None:
    """Arrow guesses types from the first block, about a megabyte; ours may not depend on it."""
    (tmp_path / "labels.csv").write_text("image,label\n" + "0001,01\n" * 200_000 + "x,cat\n")
    assert read_csv(tmp_path / "labels.csv")["label"].to_pylist()[-2:] == ["01", "cat"]


@pytest.mark.parametrize(
    ("content", "cause"),
    [(b"", "Empty CSV file"), (b"a,b\n1,2,3\n", "Expected 2 columns, got 3"), (b"a\ncaf\xe9\n", "invalid UTF8")],
)
def test_a_csv_that_is_no_table_is_an_error(content: bytes, cause: str, tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_bytes(content)
    message = (
        rf"labels.csv cannot be read as CSV: .*{cause}.*\nExpected UTF-8 text with a header line.*','.\nFix: .*separ"
    )
    with pytest.raises(DataError, match=message):
        read_csv(tmp_path / "labels.csv")


def test_a_missing_csv_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"No such file: .*labels.csv.\nExpected a CSV file with a header line.\nFix: ch"
    ):
        read_csv(tmp_path / "labels.csv")


@pytest.mark.parametrize("separator", [";", "\t", "|"])
def test_a_missing_column_notices_the_wrong_separator(separator: str) -> None:
    error = missing_column("tags", [f"image{separator}tags"])
    assert error.fix == f"the fields look separated by {separator!r}: pass separator={separator!r}."
